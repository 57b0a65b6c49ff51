/** Kills members of the lab's MySQL group at random under writes, and counts what became of every acknowledged row. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ClientPod, group, inTenant, members, wholeGroup } from "../lab/mysql/group.ts";
import type { Marked } from "../lab/mysql/counting-client.ts";
import { succeed } from "../lab/support/deploy.ts";

const inServer = (member: string, script: string): Promise<string> =>
  inTenant("exec", member, "-c", "mysql", "--", "sh", "-euc", script);
const signal = (name: string, member: string): Promise<string> =>
  inServer(member, `kill -${name} "$(cat /run/mysqld/mysqld.pid)"`);
const killPods = (...names: readonly string[]): Promise<string> =>
  inTenant("delete", "pod", ...names, "--force", "--grace-period=0");

/** What can happen to a group; each is given the primary, and the others in any order. */
const disturbances = {
  "primary's pod killed": ([primary]) => killPods(primary),
  "a secondary's pod killed": ([, other]) => killPods(other),
  "primary's mysqld killed": ([primary]) => signal("KILL", primary),
  "primary's mysqld stopped for 60 s": async ([primary]) => {
    await signal("STOP", primary);
    await sleep(60_000);
    await signal("CONT", primary);
  },
  "primary's volume deleted": async ([primary]) => {
    await inTenant("delete", "pvc", `data-${primary}`, "--wait=false");
    await killPods(primary);
  },
  "two of three killed": ([primary, other]) => killPods(primary, other),
  "all three killed": (all) => killPods(...all),
} satisfies Record<string, (order: readonly [string, string, string]) => Promise<unknown>>;

type Kind = keyof typeof disturbances;
/** One member's loss: what the promise of 15 s is about. */
const ofOne: readonly Kind[] = [
  "primary's pod killed",
  "primary's mysqld killed",
  "primary's mysqld stopped for 60 s",
  "primary's volume deleted",
];

const { values } = parseArgs({ options: { rounds: { type: "string", default: "30" }, help: { type: "boolean" } } });
if (values.help === true) {
  process.stdout.write(
    "usage: npm run soak -- mysql-group [--rounds N]   (default 30, about 40 s each; N at most 500)\n",
  );
} else {
  await campaign(Number(values.rounds));
}

async function campaign(rounds: number): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 500) {
    throw new Error("--rounds: expected a whole number from 1 to 500");
  }
  await succeed("up", "--yes");
  const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
    tenants: Record<string, { caBundle: string }>;
  };
  await wholeGroup();
  const client = await ClientPod.start(outputs.tenants["acme"]?.caBundle ?? "", { writers: 4, pause: 10 });
  const outages = new Map<Kind, number[]>();
  let wrong = false;
  try {
    const began = performance.now();
    for (let round = 1; round <= rounds; round += 1) {
      const kind = pick(Object.keys(disturbances) as Kind[]);
      const { outage, healed } = await disturb(client, kind);
      outages.set(kind, [...(outages.get(kind) ?? []), outage]);
      print(`${round} of ${rounds}: ${kind}: write outage ${outage.toFixed(1)} s, whole after ${healed.toFixed(1)} s`);
    }
    const elapsed = (performance.now() - began) / 1000;
    const verdict = await client.stop();
    const rate = (verdict.acknowledged / elapsed).toFixed(0);
    print(`${verdict.acknowledged} rows acknowledged in ${elapsed.toFixed(0)} s (${rate} a second, outages included)`);
    print(
      `acknowledged rows that a member lacks: ${JSON.stringify(verdict.lost)}; changes of the primary: ${verdict.changes}`,
    );
    wrong = Object.keys(verdict.lost).length > 0;
  } finally {
    await client.remove();
  }
  for (const [kind, times] of outages) print(`${kind}: ${times.length} times, ${spread(times)}`);
  const single = ofOne.flatMap((kind) => outages.get(kind) ?? []);
  if (single.length > 0) print(`write outage at the loss of the primary: ${single.length} times, ${spread(single)}`);
  if (wrong) process.exitCode = 1;
}

/** @returns seconds: the longest time without an acknowledged row, and the time until the group was whole again */
async function disturb(client: ClientPod, kind: Kind): Promise<{ readonly outage: number; readonly healed: number }> {
  const primary = await wholeGroup(300_000);
  await sleep(3_000);
  const before: Marked = await client.mark();
  if (before.acknowledged === 0) throw new Error(`nothing was written before ${kind}`);
  const [one = "", other = ""] = shuffled(members.filter((member) => member !== primary));
  const began = performance.now();
  await disturbances[kind]([primary, one, other]);
  await sleep(3_000);
  await wholeGroup(300_000);
  const healed = (performance.now() - began) / 1000;
  await sleep(2_000);
  const { outage } = await client.mark();
  return { outage, healed };
}

function pick<Value>(list: readonly Value[]): Value {
  const value = list[Math.floor(Math.random() * list.length)];
  if (value === undefined) throw new Error(`${group}: nothing to pick from`);
  return value;
}

function shuffled<Value>(list: readonly Value[]): Value[] {
  return list
    .map((value) => [Math.random(), value] as const)
    .sort(([a], [b]) => a - b)
    .map(([, value]) => value);
}

function spread(times: readonly number[]): string {
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} s, p95 ${at(0.95)} s, longest ${at(1)} s`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
