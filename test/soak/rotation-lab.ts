/** Rotations on the lab under load, and with kills, outages, rollbacks and a lost state in the middle of them. */
import { parseArgs } from "node:util";
import {
  Command,
  type Drill,
  drills,
  ordersPerSecond,
  quiet,
  repair,
  site,
  type Site,
} from "../lab/rotation/drills/index.ts";

const { values } = parseArgs({
  options: { only: { type: "string" }, rate: { type: "string", default: "190" }, help: { type: "boolean" } },
});
const names = Object.keys(drills);
const help = `usage: npm run soak -- rotation-lab [--only CASE,…] [--rate N]

Cases: ${names.join(", ")}; default all, one after the other.
--rate: cards a second through HAProxy and tokenizer, default 190. HAProxy lets one address send 200 a second, averaged
over ten seconds, and ${ordersPerSecond} orders a second go through the whole path beside them.
`;

/** What a case has come to. */
interface Result {
  readonly name: string;
  readonly seconds: number;
  readonly figures: readonly string[];
  readonly wrongs: readonly string[];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function one(name: string, run: (drill: Drill) => Promise<void>, at: Site, rate: number): Promise<Result> {
  const began = performance.now();
  const [figures, wrongs]: [string[], string[]] = [[], []];
  const seconds = (): number => (performance.now() - began) / 1000;
  const say = (line: string): void => {
    print(`${seconds().toFixed(0).padStart(5)} s  ${name}: ${line}`);
  };
  const drill: Drill = {
    site: at,
    rate,
    say,
    seen: (figure) => {
      figures.push(figure);
      say(figure);
    },
    wrong: (what) => {
      wrongs.push(what);
      say(`WRONG: ${what}`);
    },
  };
  try {
    say("begins");
    await run(drill);
  } catch (error) {
    drill.wrong(error instanceof Error ? error.message : String(error));
  }
  const result = { name, seconds: seconds(), figures, wrongs };
  print(lineOf(result));
  return result;
}

const lineOf = ({ name, seconds, figures, wrongs }: Result): string =>
  `${wrongs.length === 0 ? "ok    " : "FAILED"} ${name} (${seconds.toFixed(0)} s): ${figures.join("; ")}`;

function table(results: readonly Result[]): string {
  const cell = (texts: readonly string[]): string =>
    texts.map((text) => (text.trim().split("\n")[0] ?? "").replaceAll("|", "/")).join("<br>");
  return [
    "| Case | Ended | Took | Seen | Wrong |",
    "|---|---|---|---|---|",
    ...results.map(
      ({ name, seconds, figures, wrongs }) =>
        `| \`${name}\` | ${wrongs.length === 0 ? "well" : "FAILED"} | ${seconds.toFixed(0)} s | ${cell(figures)} | ${cell(wrongs)} |`,
    ),
  ].join("\n");
}

for (const kind of ["SIGINT", "SIGTERM"] as const) {
  process.once(kind, () => {
    print(`broken off (${kind}): what goes on is ended`);
    void Command.stopAll().finally(() => process.exit(130));
  });
}

async function campaign(chosen: readonly string[], rate: number): Promise<void> {
  await repair();
  const at = await site();
  await quiet();
  const results: Result[] = [];
  for (const name of chosen) {
    const run = drills[name];
    if (run !== undefined) results.push(await one(name, run, at, rate));
  }
  print(`\n${table(results)}\n`);
  const good = results.filter(({ wrongs }) => wrongs.length === 0).length;
  print(`${good} of ${results.length} cases ended well`);
  if (good < results.length) process.exitCode = 1;
}

const chosen = values.only === undefined ? names : values.only.split(",");
const unknown = chosen.filter((name) => !names.includes(name));
const rate = Number(values.rate);
if (values.help === true) print(help.trimEnd());
else if (unknown.length > 0) throw new Error(`--only: no case ${unknown.join(", ")}; expected ${names.join(", ")}`);
else if (!(rate >= 1 && rate <= 195))
  throw new Error("--rate: expected 1 to 195, as one address may send 200 a second");
else await campaign(chosen, rate);
