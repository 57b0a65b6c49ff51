import { setTimeout as sleep } from "node:timers/promises";
import { namespace } from "../support/deploy.ts";
import { eventually, kubectl } from "../support/lab.ts";

/** Names of a part's objects of a kind. */
const named = async (kind: string, part: string): Promise<readonly string[]> => {
  const words = ["get", kind, "-n", namespace, "-l", `tokenization.io/role=${part}`, "-o", "name"];
  return (await kubectl(...words)).split("\n").filter((name) => name !== "");
};

/** Which pods of a part there are; a StatefulSet's next pod has the name of the last. */
const identities = async (part: string): Promise<readonly string[]> => {
  const words = ["get", "pods", "-n", namespace, "-l", `tokenization.io/role=${part}`, "-o"];
  return (await kubectl(...words, "jsonpath={.items[*].metadata.uid}")).split(" ").filter((uid) => uid !== "");
};

/** Replaces every pod of a part one by one, and waits until the last of the old ones is gone. */
export async function roll(part: string): Promise<void> {
  const before = new Set(await identities(part));
  const [workload = ""] = [...(await named("deployment", part)), ...(await named("statefulset", part))];
  await kubectl("rollout", "restart", workload, "-n", namespace);
  await kubectl("rollout", "status", workload, "-n", namespace, "--timeout=240s");
  const left = await eventually(
    async () => (await identities(part)).filter((uid) => before.has(uid)),
    (uids) => uids.length === 0,
    90_000,
  );
  if (left.length > 0) throw new Error(`${left.length} pods of ${part} should be gone`);
}

/** Kills all pods of a part at once. */
export async function killAll(part: string): Promise<void> {
  const pods = await named("pod", part);
  await kubectl("delete", ...pods, "-n", namespace, "--force", "--grace-period=0");
}

/**
 * Waits until pods of a part are ready again.
 * @returns seconds that it took
 */
export async function readyAgain(part: string, count: number): Promise<number> {
  const began = performance.now();
  const words = ["get", "pods", "-n", namespace, "-l", `tokenization.io/role=${part}`, "-o"];
  const condition = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
  const ready = await eventually(
    async () => (await kubectl(...words, condition)).split(" ").filter((status) => status === "True").length,
    (now) => now >= count,
    240_000,
  );
  if (ready < count) throw new Error(`${ready} of ${count} pods of ${part} are ready after 4 minutes`);
  return (performance.now() - began) / 1000;
}

/**
 * Asks every half second until an answer is good three times in a row.
 * @returns seconds until the first of these
 */
export async function recovered(ask: () => Promise<boolean>, patience: number): Promise<number> {
  const began = performance.now();
  for (let good = 0, first = 0; ;) {
    const now = (performance.now() - began) / 1000;
    if (await ask()) {
      if (good === 0) first = now;
      good += 1;
      if (good === 3) return first;
    } else good = 0;
    if (now > patience) throw new Error(`not recovered after ${patience} s`);
    await sleep(500);
  }
}
