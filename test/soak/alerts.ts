/** Makes real faults on the lab, sees the alerts that they fire and that these end, and prints a table. */
import { parseArgs } from "node:util";
import { type Drill, drill, type Fault, isSeen, lanes, prepareTraffic, type Seen, whole } from "../lab/faults/index.ts";
import { wholeGroup } from "../lab/mysql/group.ts";
import { succeed } from "../lab/support/deploy.ts";
import { PrometheusClient } from "../lab/support/prometheus.ts";

const { values } = parseArgs({ options: { lanes: { type: "string" }, help: { type: "boolean" } } });
const usual = Object.keys(lanes).filter((name) => name !== "mounts");
const help = `usage: npm run soak -- alerts [--lanes NAME,…]

Lanes: ${Object.keys(lanes).join(", ")}; default ${usual.join(", ")} (about 14 minutes).
mounts seals Vault for minutes, so it goes alone.
`;

if (values.help === true) process.stdout.write(help);
else await campaign(values.lanes === undefined ? usual : values.lanes.split(","));

async function campaign(names: readonly string[]): Promise<void> {
  const chosen = names.map((name) => {
    const stages = lanes[name];
    if (stages === undefined) throw new Error(`--lanes: no lane ${name}; expected ${Object.keys(lanes).join(", ")}`);
    return stages;
  });
  await succeed("up", "--yes");
  await wholeGroup();
  const client = await PrometheusClient.of("monitoring");
  const faults = chosen.flat(2);
  // What a campaign that was ended left behind.
  for (const fault of faults) await fault.undo();
  await untilQuiet(client, new Set(faults.flatMap(({ alerts }) => alerts.map(({ alert }) => alert))));
  await prepareTraffic();
  const began = performance.now();
  const say = (line: string): void => {
    process.stdout.write(`${whole((performance.now() - began) / 1000).padStart(4)} s  ${line}\n`);
  };
  const outcomes = (await Promise.all(chosen.map((stages) => lane(client, stages, say)))).flat();
  const seen = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
  process.stdout.write(`\n${table(seen)}\n`);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") process.stdout.write(`FAILED: ${String(outcome.reason)}\n`);
  }
  const good = seen.filter(isSeen).length;
  process.stdout.write(`\n${good} of ${seen.length} alerts fired and ended within their limits\n`);
  if (good < seen.length || outcomes.some(({ status }) => status === "rejected")) process.exitCode = 1;
}

/** One stage after the other; the last alerts of each may still be on when the next begins. */
async function lane(
  client: PrometheusClient,
  stages: readonly (readonly Fault[])[],
  say: (line: string) => void,
): Promise<readonly PromiseSettledResult<readonly Seen[]>[]> {
  const drills: Drill[] = [];
  for (const stage of stages) {
    const begun = stage.map((fault) => drill(client, fault, say));
    drills.push(...begun);
    await Promise.all(begun.map(({ undone }) => undone));
  }
  return Promise.allSettled(drills.map(({ seen }) => seen));
}

/** After a start from nothing some alerts may be on for a moment: what is drilled has to be off. */
async function untilQuiet(client: PrometheusClient, names: ReadonlySet<string>): Promise<void> {
  const end = Date.now() + 180_000;
  for (;;) {
    const on = (await client.firing()).map(({ alertname = "" }) => alertname).filter((name) => names.has(name));
    if (on.length === 0) return;
    if (Date.now() > end) throw new Error(`before any fault: ${on.join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
}

function table(seen: readonly Seen[]): string {
  const time = (value: number | undefined): string => (value === undefined ? "never" : `${whole(value)} s`);
  return [
    "| Alert | Fault | Fires within | Fired after | Repair | Over within | Over after |",
    "|---|---|---|---|---|---|---|",
    ...seen.map(
      ({ alert, fault, fires, fired, ends, ended }) =>
        `| \`${alert}\` | ${fault.made} | ${fires} s | ${time(fired)} | ${fault.undone} | ${ends} s | ${time(ended)} |`,
    ),
  ].join("\n");
}
