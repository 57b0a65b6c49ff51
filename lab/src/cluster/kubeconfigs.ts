import { readFileSync } from "node:fs";
import { stringify } from "yaml";
import { writeFile } from "../files.ts";
import { type Layout, paths } from "../layout.ts";
import { addresses } from "../network.ts";

/** The name of cluster, user and context in the kubeconfig that people get. */
export const contextName = "tokenshield-lab";

function render(at: Layout, user: string): string {
  const data = (file: string): string => readFileSync(paths.pki(at, file)).toString("base64");
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": contextName,
    clusters: [
      { name: contextName, cluster: { server: addresses.apiserver, "certificate-authority-data": data("ca.crt") } },
    ],
    users: [
      { name: user, user: { "client-certificate-data": data(`${user}.crt`), "client-key-data": data(`${user}.key`) } },
    ],
    contexts: [{ name: contextName, context: { cluster: contextName, user } }],
  });
}

/** Writes the kubeconfig of every component, and the administrator's and authorities where people of this clone find them. */
export function writeKubeconfigs(at: Layout): void {
  for (const user of ["node", "controller-manager", "scheduler", "proxy", "admin"]) {
    writeFile(paths.kubeconfig(at, user), render(at, user), 0o600);
  }
  writeFile(paths.cloneKubeconfig(at), render(at, "admin"), 0o600);
  writeFile(paths.cloneCa(at), readFileSync(paths.pki(at, "ca.crt"), "utf8"));
  writeFile(paths.clonePaymentsCa(at), readFileSync(paths.pki(at, "payments-ca.crt"), "utf8"));
}
