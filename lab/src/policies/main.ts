import { mkdirSync, watch } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFile } from "../files.ts";
import { layout, paths } from "../layout.ts";
import { network } from "../network.ts";
import { type Enforced, readAttachments } from "./attachments.ts";
import { Enforcer } from "./enforcer.ts";
import type { Namespace, NetworkPolicy, Pod } from "./objects.ts";
import { isOf } from "./rules.ts";
import { Watched } from "./watch.ts";

/** The lab's enforcement of network policies: a process of the host that `lab up` starts and `lab down` ends. */

/** Changes come in groups: one waits for the next this long, in milliseconds. */
const gathering = 10;

/** How long after a refusal of the kernel it is asked again, in milliseconds. */
const pause = 1_000;

const at = layout();
const enforcer = new Enforcer(network.pods, [network.node]);

let changes = 0;
let wake: () => void = () => undefined;
const changed = (): void => {
  changes += 1;
  wake();
};

const folder = paths.attachments(at);
mkdirSync(folder, { recursive: true, mode: 0o700 });
watch(folder, changed);

const policies = new Watched<NetworkPolicy>(at, "/apis/networking.k8s.io/v1/networkpolicies", changed);
const pods = new Watched<Pod>(at, "/api/v1/pods", changed);
const namespaces = new Watched<Namespace>(at, "/api/v1/namespaces", changed);

/** Waits for a change after the first `seen` ones. */
function changeAfter(seen: number): Promise<void> {
  return new Promise((resolve) => {
    wake = resolve;
    if (changes > seen) resolve();
  });
}

async function enforce(): Promise<never> {
  for (let seen = 0; ;) {
    await changeAfter(seen);
    await sleep(gathering);
    seen = changes;
    const [policy, pod, namespace] = [policies.current(), pods.current(), namespaces.current()];
    if (policy === undefined || pod === undefined || namespace === undefined) continue;
    try {
      const attachments = readAttachments(folder);
      await enforcer.apply({ policies: policy, pods: pod, namespaces: namespace, attachments });
      const known = attachments.filter((one) => pod.some((candidate) => isOf(one, candidate)));
      const enforced: Enforced = { pid: process.pid, attachments: known.map(({ id }) => id).sort() };
      writeFile(paths.enforced(at), JSON.stringify(enforced));
    } catch (error) {
      process.stdout.write(`${new Date().toISOString()} ${error instanceof Error ? error.message : String(error)}\n`);
      seen -= 1;
      await sleep(pause);
    }
  }
}

await Promise.all([policies.run(), pods.run(), namespaces.run(), enforce()]);
