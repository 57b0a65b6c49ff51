import { setTimeout as sleep } from "node:timers/promises";
import { published } from "../on-lab.ts";
import { Command } from "./command.ts";
import { after, before, during, type Drill, judge } from "./drill.ts";
import { type DrilledClass, ledgerOf, untilOver, untilPhase } from "./ledger-watch.ts";
import { allUse, digestsOf, oldIs, password } from "./site.ts";
import { Arrivals, said, Streams } from "./streams.ts";

/** The group of a class whose write begins the time until its use. */
const firstGroup = { api: "api_cli", database: "database_credentials", jwt: "jwt" } as const;

/**
 * A rotation under load, until the value before has ended by its schedule.
 * @param goal most seconds from the store's write to the use by all; absent where there is none
 */
export async function rotationUnderLoad(drill: Drill, className: DrilledClass, goal?: number): Promise<void> {
  const start = await before(className);
  const next = start.generation + 1;
  let written = new Date();
  let arrivals: Arrivals | undefined;
  const streams = await Streams.begin(drill.site, drill.rate);
  try {
    arrivals = await Arrivals.begin(className, next);
    const command = Command.rotate(className, "--why", "a drill under load");
    const converged = await during(command, async (given) => {
      await untilPhase(className, next, "published", 900, given);
      written = (await published(firstGroup[className])).at;
      drill.say(`${className}: generation ${next} is published`);
      await untilPhase(className, next, "converged", 400, given);
      drill.say("every process uses it, the grace is open");
      return Date.now();
    });
    const { previous, last } = await untilOver(className, 420);
    const [ended, planned] = [Date.parse(last?.at ?? ""), Date.parse(previous?.until ?? "")];
    drill.seen(
      `grace closed ${said((ended - converged) / 1000)} after convergence, ${said((ended - planned) / 1000)} after its end by plan`,
    );
  } finally {
    judge(drill, await streams.end());
    if (arrivals !== undefined) await judgeArrivals(drill, arrivals, written, goal);
  }
  drill.seen(`the value before is ${await oldIs(drill.site, className, start.old ?? "")}`);
  await after(drill, start);
}

async function judgeArrivals(drill: Drill, arrivals: Arrivals, written: Date, goal: number | undefined): Promise<void> {
  const { line, longest } = await arrivals.end(written);
  drill.seen(line);
  if (goal !== undefined && longest > goal) drill.wrong(`not in use by all within ${goal} s`);
  else if (!Number.isFinite(longest)) drill.wrong("a process was never seen to use it");
}

/** Most seconds until the value before is in use again. */
const back = 60;

/** A rollback in the grace, as soon as everybody has come over. */
export async function rollbackInGrace(drill: Drill, className: DrilledClass): Promise<void> {
  const start = await before(className);
  const held = await digestsOf(className);
  const streams = await Streams.begin(drill.site, drill.rate);
  let spoilt = "";
  try {
    const command = Command.rotate(className, "--why", "a drill that is rolled back");
    await during(command, async (given) => {
      await untilPhase(className, start.generation + 1, "converged", 900, given);
      if (className === "database") spoilt = await password();
      await rollback(drill, className, { held, generation: start.generation + 2 });
    });
    await untilOver(className, 420);
  } finally {
    judge(drill, await streams.end());
  }
  // What was rolled back is what ends.
  await after(drill, { ...start, old: className === "database" ? spoilt : undefined }, 2);
}

/** Where the class comes back to. */
interface Back {
  /** The digest of the value before, by group. */
  readonly held: ReadonlyMap<string, string>;
  /** The generation that carries it. */
  readonly generation: number;
}

/** Rolls a class back and sees how soon everybody uses the value before. */
export async function rollback(drill: Drill, className: DrilledClass, { held, generation }: Back): Promise<void> {
  const began = performance.now();
  drill.say(`${className}: rotate --rollback`);
  const command = Command.rotate("--rollback", className, "--why", "a drill");
  const seconds = await during(command, async (given) => {
    await untilPhase(className, generation, "published", 400, given);
    for (;;) {
      const all = await allUse(className, held);
      const took = (performance.now() - began) / 1000;
      if (all) return took;
      if (took > 420) throw new Error(`${className}: the value before isn't in use by all after ${took.toFixed(0)} s`);
      given.throwIfAborted();
      await sleep(250);
    }
  });
  drill.seen(`${className}: the value before is in use by all ${said(seconds)} after the command`);
  if (seconds > back) drill.wrong(`${className}: the value before isn't in use by all within ${back} s`);
}

/** A value that others know: an open grace ends first, and the value's own end comes with no grace. */
export async function compromised(drill: Drill): Promise<void> {
  const start = await before("database");
  const next = start.generation + 1;
  const streams = await Streams.begin(drill.site, drill.rate);
  try {
    const known = await during(Command.rotate("database", "--why", "a drill before an emergency"), async (given) => {
      const { previous } = await untilPhase("database", next, "converged", 900, given);
      drill.say(`a grace is open until ${previous?.until ?? "?"}`);
      return password();
    });
    const { phase, previous } = await ledgerOf("database");
    drill.seen(phase === "converged" ? "a grace was open at the command" : `no grace was open any more: ${phase}`);
    const command = Command.rotate("--compromised", "database", "--why", "a drill of an emergency");
    await during(command, async (given) => {
      const over = await untilPhase("database", next, "discarded", 200, given);
      const early = (Date.parse(previous?.until ?? "") - Date.parse(over.last?.at ?? "")) / 1000;
      drill.seen(`it ended ${said(early)} before its time`);
      if (phase === "converged" && early < 1) drill.wrong("the open grace wasn't skipped");
      await untilPhase("database", next + 1, "converged", 900, given);
      const converged = Date.now();
      drill.say("every process uses the next value");
      await untilPhase("database", next + 1, "closed", 200, given);
      drill.seen(`the known value ended ${said((Date.now() - converged) / 1000)} after that`);
    });
    const taken = await oldIs(drill.site, "database", known);
    drill.seen(`the known value is ${taken} at the command's end`);
    if (!/^refused(, refused)+$/.test(taken)) drill.wrong("the known value isn't refused");
  } finally {
    judge(drill, await streams.end());
  }
  await after(drill, start, 2);
}
