import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../wait.ts";
import { type Attachment, readEnforced } from "./attachments.ts";

/**
 * The last plug-in of the lab's container network (CNI 1.0.0): tells the enforcement of network policies which pod has
 * got which address, and lets the pod begin once that is in force. So no pod is ever without its policies, and none is
 * refused what they allow.
 */

/** How long the enforcement may take, in milliseconds; the kubelet tries again later. */
const patience = 15_000;

interface Asked {
  readonly cniVersion: string;
  /** Where attachments lie, and what the enforcement writes. */
  readonly folder: string;
  readonly enforced: string;
  readonly prevResult?: { readonly ips?: readonly { readonly address: string }[] };
}

const environment = (name: string): string => process.env[name] ?? "";

/** What the runtime says of the pod: `IgnoreUnknown=1;K8S_POD_NAMESPACE=…;K8S_POD_NAME=…`. */
function argument(name: string): string {
  const pairs = environment("CNI_ARGS").split(";");
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}

async function add({ folder, enforced, prevResult }: Asked, id: string): Promise<void> {
  const [address = ""] = prevResult?.ips?.[0]?.address.split("/") ?? [];
  const attachment: Attachment = {
    id,
    address,
    namespace: argument("K8S_POD_NAMESPACE"),
    name: argument("K8S_POD_NAME"),
  };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, `.${id}`), JSON.stringify(attachment));
  renameSync(join(folder, `.${id}`), join(folder, id));
  const inForce = await waitUntil(() => readEnforced(enforced)?.attachments.includes(id) === true, patience, 10);
  if (!inForce)
    throw new Error(`the network policies of ${attachment.namespace}/${attachment.name} are not in force yet`);
}

const command = environment("CNI_COMMAND");
const id = environment("CNI_CONTAINERID").replaceAll(/[^\w.-]/g, "");
try {
  const asked = JSON.parse(readFileSync(0, "utf8")) as Asked;
  if (command === "VERSION")
    process.stdout.write(JSON.stringify({ cniVersion: "1.0.0", supportedVersions: ["1.0.0"] }));
  if (command === "DEL") rmSync(join(asked.folder, id), { force: true });
  if (command === "ADD") {
    await add(asked, id);
    process.stdout.write(JSON.stringify({ ...asked.prevResult, cniVersion: asked.cniVersion }));
  }
} catch (error) {
  const msg = error instanceof Error ? error.message : String(error);
  process.stdout.write(JSON.stringify({ cniVersion: "1.0.0", code: 100, msg }));
  process.exitCode = 1;
}
