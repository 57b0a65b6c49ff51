/** Kills members of the lab's MySQL group at random under writes, and counts what became of every acknowledged row. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Verdict } from "../lab/mysql/counting-client.ts";
import { disturbances, type Kind, kinds, lossesOfThePrimary } from "../lab/mysql/disturbances.ts";
import { ClientPod, membersOf, namespace, wholeGroup } from "../lab/mysql/group.ts";
import { succeed } from "../lab/support/deploy.ts";
import { attemptLab } from "../lab/support/lab.ts";

const help = `usage: npm run soak -- mysql-group [--rounds N] [--minutes N] [--members N] [--figures FILE]

  --rounds   how many disturbances, 1 to 500 (default 30, about 45 s each)
  --minutes  begins no further one after this time
  --members  size of the lab's group, 3 or 5 (default 3)
  --figures  file that each round's figures are added to, so that several campaigns are told as one; kinds that are
             seldom in it come first
`;

/** One disturbance and what came of it. Times are in seconds. */
interface Round {
  readonly kind: Kind;
  /** Rows a second before it. */
  readonly rate: number;
  /** The longest time without an acknowledged row. */
  readonly outage: number;
  /** Until the group was whole again. */
  readonly healed: number;
}

/** What a whole campaign found. */
interface Campaign {
  readonly seconds: number;
  readonly verdict: Verdict;
}

type Figure = Round | Campaign;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "30" },
    minutes: { type: "string", default: "120" },
    members: { type: "string", default: "3" },
    figures: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help === true) print(help);
else await campaign(Number(values.rounds), Number(values.members), figuresOf(values.figures), values.figures);

function figuresOf(path: string | undefined): Figure[] {
  if (path === undefined || !existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Figure);
}

async function campaign(rounds: number, size: number, figures: Figure[], file: string | undefined): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 500) {
    throw new Error(`--rounds: expected a whole number from 1 to 500, given ${values.rounds}`);
  }
  if (size !== 3 && size !== 5) throw new Error(`--members: expected 3 or 5, given ${values.members}`);
  const keep = (figure: Figure): void => {
    figures.push(figure);
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(figure)}\n`);
  };
  const members = membersOf(size);
  await succeed("up", "--yes");
  const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
    tenants: Record<string, { caBundle: string }>;
  };
  await wholeGroup(members);
  const client = await ClientPod.start(
    outputs.tenants["acme"]?.caBundle ?? "",
    { writers: 12, pause: 10, knock: 100 },
    members,
  );
  try {
    const began = performance.now();
    const end = began + Number(values.minutes) * 60_000;
    for (let round = 1; round <= rounds && performance.now() < end; round += 1) {
      const one = await disturb(client, members, seldom(figures));
      keep(one);
      const { kind, rate, outage, healed } = one;
      print(`${round} of ${rounds}: ${kind}: ${rate.toFixed(0)} rows a second before it, write outage `);
      print(`${outage.toFixed(1)} s, whole after ${healed.toFixed(1)} s\n`);
    }
    keep({ seconds: (performance.now() - began) / 1000, verdict: await client.stop() });
  } catch (error) {
    print(await logs(members));
    throw error;
  } finally {
    await client.remove();
  }
  tell(figures);
}

async function disturb(client: ClientPod, members: readonly string[], kind: Kind): Promise<Round> {
  const primary = await wholeGroup(members);
  await client.mark();
  await sleep(4_000);
  const { acknowledged, seconds } = await client.mark();
  if (acknowledged === 0) throw new Error(`nothing was written before: ${kind}`);
  const others = shuffled(members.filter((member) => member !== primary));
  const began = performance.now();
  await disturbances[kind]({ primary, others });
  await sleep(3_000);
  await wholeGroup(members);
  const healed = (performance.now() - began) / 1000;
  await sleep(1_000);
  const { outage } = await client.mark();
  return { kind, rate: acknowledged / seconds, outage, healed };
}

/** One of the kinds that there were the fewest of. */
function seldom(figures: readonly Figure[]): Kind {
  const count = (kind: Kind): number => figures.filter((figure) => "kind" in figure && figure.kind === kind).length;
  const [kind = "all killed"] = shuffled(kinds).sort((one, other) => count(one) - count(other));
  return kind;
}

function tell(figures: readonly Figure[]): void {
  const rounds = figures.filter((figure) => "kind" in figure);
  for (const kind of kinds) {
    const some = rounds.filter((round) => round.kind === kind);
    if (some.length === 0) continue;
    print(`${kind}: ${some.length} times, outage ${spread(some.map(({ outage }) => outage))}; `);
    print(`whole after ${spread(some.map(({ healed }) => healed))}\n`);
  }
  const losses = rounds.filter(({ kind }) => lossesOfThePrimary.includes(kind)).map(({ outage }) => outage);
  if (losses.length > 0) print(`write outage at the loss of the primary: ${losses.length} times, ${spread(losses)}\n`);
  print(
    `rows a second before the disturbances: ${spread(
      rounds.map(({ rate }) => rate),
      "rows",
    )}\n`,
  );
  for (const figure of figures) if ("verdict" in figure) judge(figure);
}

/** A server that leads does so for longer than two that wrote side by side would take turns. */
const shortestTerm = 1;

function judge({ seconds, verdict }: Campaign): void {
  const { acknowledged, direct, lost, terms, logins, refusedLogins } = verdict;
  const shortest = Math.min(...terms.slice(1, -1).map((term) => term.seconds));
  print(
    `${acknowledged} rows acknowledged in ${seconds.toFixed(0)} s, ${(acknowledged / seconds).toFixed(0)} a second, `,
  );
  print(`outages included; ${direct} of them by members that were asked themselves\n`);
  print(`  members that lack acknowledged rows: ${JSON.stringify(lost)}\n`);
  print(`  ${terms.length} terms of servers that took writes, the shortest ${shortest.toFixed(1)} s\n`);
  print(`  ${logins} logins, ${refusedLogins} refused\n`);
  if (Object.keys(lost).length > 0 || shortest < shortestTerm || refusedLogins > 0) process.exitCode = 1;
}

async function logs(members: readonly string[]): Promise<string> {
  const ends = members.flatMap((member) =>
    ["mysql-agent", "mysql"].map(async (container) => {
      const words = ["kubectl", "-n", namespace, "logs", member, "-c", container, "--tail=40"];
      const { stdout, stderr } = await attemptLab(words);
      return `--- ${member} ${container}\n${stdout}${stderr}`;
    }),
  );
  return (await Promise.all(ends)).join("\n");
}

function shuffled<Value>(list: readonly Value[]): Value[] {
  return list
    .map((value) => [Math.random(), value] as const)
    .sort(([a], [b]) => a - b)
    .map(([, value]) => value);
}

function spread(times: readonly number[], unit: "s" | "rows" = "s"): string {
  const sorted = [...times].sort((one, other) => one - other);
  // The nearest rank: a share of few figures must not leave the largest out.
  const at = (share: number): string =>
    (sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0).toFixed(unit === "s" ? 1 : 0);
  return unit === "s" ? `p50 ${at(0.5)} s, p95 ${at(0.95)} s, longest ${at(1)} s` : `p50 ${at(0.5)}, fewest ${at(0)}`;
}

function print(text: string): void {
  process.stdout.write(text);
}
