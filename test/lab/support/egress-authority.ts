import assert from "node:assert/strict";
import { join } from "node:path";
import { rootParameters } from "@tokenshield/rotation";
import { type BumpArgs, bumpParameters } from "../../../bin/components/vault/bump.js";
import { policyRules, policyText } from "../../../bin/components/vault/policy.js";
import type { Platform } from "../../../services/tokenizer/test/lab/platform.ts";
import { bumpAgent } from "./bump-agent.ts";
import { ChrootProcess, runInChroot } from "./chroot.ts";
import { eventually } from "./lab.ts";
import { imageRoot, type PodFolder } from "./proxy-processes.ts";

/** The mount of the tenant's egress authority. */
export const egressMount = "tokenshield-lab-egress-acme";

/** Makes the egress authority in Vault, and a token with the egress proxy's rights. */
export async function makeEgressAuthority(
  platform: Platform,
  bump: BumpArgs,
): Promise<{ readonly certificate: string; readonly token: string }> {
  await platform.vaultAsRoot("POST", `sys/mounts/${egressMount}`, { type: "pki", config: { max_lease_ttl: "8760h" } });
  const parameters = rootParameters("TokenShield lab acme egress", 1, 365);
  const root = (await platform.vaultAsRoot("POST", `${egressMount}/root/generate/internal`, parameters)) as {
    data: { certificate: string };
  };
  const nothing = { groupsOf: () => [], groups: [], classes: [] };
  const rules = policyRules("outbound", { environment: "lab", tenant: "acme", ...nothing, bump });
  await platform.vaultAsRoot("PUT", "sys/policies/acl/outbound", { policy: policyText(rules) });
  const made = (await platform.vaultAsRoot("POST", "auth/token/create", {
    policies: ["outbound"],
    no_default_policy: true,
    period: "1h",
  })) as { auth: { client_token: string } };
  return { certificate: root.data.certificate, token: made.auth.client_token };
}

/** Has a pod's own authority signed anew, as its agent does before the certificate ends. */
export async function renewAuthority(platform: Platform, pod: PodFolder, bump: BumpArgs): Promise<void> {
  const asked = { csr: pod.read("bump", "request.pem"), ...bumpParameters(bump) };
  const signed = (await platform.vaultAsRoot("POST", `${egressMount}/root/sign-intermediate`, asked)) as {
    data: { certificate: string };
  };
  pod.write("bump", "tls.pem", `${pod.read("bump", "key.pem")}${signed.data.certificate}\n`);
}

/** Makes a pod's own authority as its containers do: the key, then the agent that has it signed and goes on to run. */
export async function certifyPod(
  platform: Platform,
  pod: PodFolder,
  bump: BumpArgs,
  token: string,
): Promise<ChrootProcess> {
  const request = await runInChroot({
    root: await imageRoot("egress-proxy"),
    mounts: pod.mounts("bump"),
    command: ["/usr/local/bin/make-request", bump.commonName],
    log: join(pod.path, "request"),
  });
  assert.equal(request.status, 0, request.printed);
  const config = bumpAgent(platform.vault.address, egressMount, bump, "/agent/token");
  pod.write("agent", "token", token);
  pod.write("agent", "agent.json", JSON.stringify(config));
  const agent = new ChrootProcess({
    root: await imageRoot("vault"),
    mounts: { "/agent": pod.volume("agent"), "/bump": pod.volume("bump"), "/dev": "/dev" },
    command: ["/bin/vault", "agent", "-config=/agent/agent.json"],
    log: join(pod.path, "agent.log"),
  });
  const bundle = await eventually(
    () => Promise.resolve(pod.read("bump", "tls.pem")),
    (text) => text !== "",
    20_000,
  );
  assert.match(bundle, /PRIVATE KEY[^]*BEGIN CERTIFICATE/, agent.printed);
  return agent;
}
