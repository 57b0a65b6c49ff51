import { parseArgs } from "node:util";
import type { Logger } from "pino";
import { machineClock } from "../clock.ts";
import {
  type Begin,
  type ClassRun,
  codeOf,
  type Decision,
  type Mandate,
  type Outcome,
  rollback,
  RotatorError,
} from "../core/index.ts";
import type { RotationMetrics } from "../records.ts";
import { RunRecords } from "../records.ts";
import { adopt } from "./adopt.ts";
import { ensureLedger, isWithdrawn, requestOf, writesFirstLedger } from "./keys.ts";
import { classNamed, type Parts, runOf } from "./parts.ts";
import { statusOf, statusTable } from "./status.ts";

export const usage = `usage: rotator job [CLASS…]     carries what the plan begins until every consumer uses it, or has to be waited for for hours
       rotator sweep [CLASS…]   closes graces that are over, finishes what a crash left, carries out what the API was asked for
       rotator exporter         tells Prometheus what the ledgers say, until it is ended
       rotator --status [--json] [CLASS…]
       rotator --rollback CLASS
       rotator --compromised CLASS
       rotator --adopt CLASS

  --dry-run            says what would be done, and changes nothing
  --status             class, generation, phase, age, next due, end of the grace, who uses which generation
  --json               the status as JSON, one object a class
  --rollback CLASS     brings the value before back, while it is still valid; the version of a key before, after its end too
  --compromised CLASS  ends the value before at once, without its grace: who still uses it is named and will be refused
  --adopt CLASS        writes a lost ledger anew from what is published and in force
  --why TEXT           the reason, for the history

Exit status: 0 done, 1 a class could not be brought on, 2 wrong usage or settings.
`;

/** What the command line asks for. */
export type Asked =
  | { readonly kind: "help" }
  | { readonly kind: "exporter" }
  | {
      readonly kind: "job" | "sweep";
      readonly classes: readonly string[];
      readonly dryRun: boolean;
      readonly why: string;
    }
  | { readonly kind: "status"; readonly classes: readonly string[]; readonly as: "table" | "json" }
  | {
      readonly kind: "rollback" | "compromised" | "adopt";
      readonly className: string;
      readonly dryRun: boolean;
      readonly why: string;
    };

/** @throws RotatorError `SETTINGS` where the words are not as the usage says */
export function parseWords(words: readonly string[]): Asked {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(words);
  } catch (error) {
    throw new RotatorError("SETTINGS", error instanceof Error ? error.message : "wrong usage", { cause: error });
  }
  const { values, positionals } = parsed;
  if (values.help === true) return { kind: "help" };
  const [verb, ...classes] = positionals;
  const dryRun = values["dry-run"] === true;
  const orders = (["rollback", "compromised", "adopt"] as const).flatMap((kind) => {
    const className = values[kind];
    return className === undefined ? [] : [{ kind, className, dryRun, why: values.why ?? `--${kind}` }];
  });
  const [order, second] = orders;
  const count = orders.length + (values.status === true ? 1 : 0);
  if (order !== undefined && second === undefined && count === 1 && verb === undefined) return order;
  if (values.status === true && count === 1)
    return { kind: "status", classes: positionals, as: values.json === true ? "json" : "table" };
  if (count === 0 && verb === "exporter" && classes.length === 0 && !dryRun) return { kind: "exporter" };
  if (count === 0 && (verb === "job" || verb === "sweep")) {
    return { kind: verb, classes, dryRun, why: values.why ?? (verb === "job" ? "a stack update" : "scheduled") };
  }
  throw new RotatorError(
    "SETTINGS",
    "expected one of job, sweep, exporter, --status, --rollback, --compromised, --adopt; see --help",
  );
}

function parse(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      status: { type: "boolean" },
      json: { type: "boolean" },
      "dry-run": { type: "boolean" },
      rollback: { type: "string" },
      compromised: { type: "string" },
      adopt: { type: "string" },
      why: { type: "string" },
      help: { type: "boolean" },
    },
  });
}

/** What a command prints with, and writes to. */
export interface Surroundings {
  readonly print: (line: string) => void;
  readonly log: Logger;
  readonly metrics: RotationMetrics;
}

/**
 * Carries a command out.
 *
 * @returns the exit status
 * @throws RotatorError `SETTINGS` where a class is not of the plan
 */
export async function carryOut(
  asked: Exclude<Asked, { kind: "help" | "exporter" }>,
  parts: Parts,
  around: Surroundings,
): Promise<number> {
  const { print } = around;
  switch (asked.kind) {
    case "status": {
      const all = await statusOf(parts, chosen(parts, asked.classes), machineClock.now());
      print(asked.as === "json" ? JSON.stringify(all, undefined, 2) : statusTable(all));
      return 0;
    }
    case "adopt": {
      classNamed(parts.plan, asked.className);
      if (asked.dryRun) {
        print(`${asked.className}: would write a lost ledger anew from what is published and in force`);
        return 0;
      }
      const { generation, phase } = await adopt(parts, asked.className, asked.why, machineClock.now());
      print(`${asked.className}: generation ${generation} is taken over, ${phase}`);
      return 0;
    }
    case "job":
    case "sweep":
      return eachClass(asked.kind, chosen(parts, asked.classes), asked, parts, around);
    case "rollback":
    case "compromised":
      classNamed(parts.plan, asked.className);
      return eachClass(asked.kind, [asked.className], asked, parts, around);
  }
}

function chosen({ plan }: Parts, classes: readonly string[]): readonly string[] {
  for (const className of classes) classNamed(plan, className);
  return classes.length > 0 ? classes : Object.keys(plan.classes).sort();
}

type Verb = "job" | "sweep" | "rollback" | "compromised";

async function eachClass(
  verb: Verb,
  classes: readonly string[],
  { dryRun, why }: { readonly dryRun: boolean; readonly why: string },
  parts: Parts,
  around: Surroundings,
): Promise<number> {
  let status = 0;
  for (const className of classes) {
    try {
      around.print(`${className}: ${await oneClass(verb, className, { dryRun, why }, parts, around)}`);
    } catch (error) {
      if (verb === "sweep" && error instanceof RotatorError && error.code === "BUSY") {
        around.print(error.message);
        continue;
      }
      around.log.error(
        { resource: `${parts.plan.tenant}:${className}`, error: codeOf(error) },
        "the class could not be brought on",
      );
      around.print(error instanceof Error ? error.message : "an unknown failure");
      status = 1;
    }
  }
  return status;
}

async function oneClass(
  verb: Verb,
  className: string,
  { dryRun, why }: { readonly dryRun: boolean; readonly why: string },
  parts: Parts,
  { log, metrics }: Surroundings,
): Promise<string> {
  if (verb === "sweep" || verb === "job") {
    const ledger = dryRun
      ? await parts.ledgers.read(className)
      : await ensureLedger(parts, className, why, machineClock.now());
    const waits = ledger === false || (ledger === undefined && writesFirstLedger(classNamed(parts.plan, className)));
    if (waits) return "no ledger yet; a run writes it, that of keys once the tokenizer tells which it works with";
  }
  const mandate = await mandateOf(verb, className, parts);
  const runFor = (reason: string): ClassRun => {
    const records = new RunRecords(log, metrics, { tenant: parts.plan.tenant, actor: parts.holder, why: reason });
    return runOf(parts, className, records, reason);
  };
  if (dryRun) {
    if (typeof mandate === "string") return `would ${mandate} what was done`;
    const ledger = await ledgerOf(parts, className);
    return wouldDo(ledger, await runFor(why).next(ledger, mandate));
  }
  if (mandate === "undo") return told(await runFor(why).undo());
  if (mandate === "reopen") return told(await runFor(why).reopen());
  const outcome = await patiently(parts, verb, () => runFor(why).carryOut(mandate));
  const begin = verb === "sweep" ? await requestOf(parts, className, outcome.ledger) : undefined;
  if (begin === undefined) return told(outcome);
  return told(await runFor(`request ${begin.asked ?? ""} of the management API`).carryOut({ ...mandate, begin }));
}

async function mandateOf(verb: Verb, className: string, parts: Parts): Promise<Mandate | "undo" | "reopen"> {
  const { begin, kind } = classNamed(parts.plan, className);
  switch (verb) {
    case "job":
      return { begin: begin as Begin | undefined, until: "converged", grace: "keep" };
    case "sweep":
      return (await isWithdrawn(parts, className)) ? "undo" : { until: "closed", grace: "keep" };
    case "compromised":
      return { until: "closed", grace: "skip" };
    case "rollback": {
      const ledger = await ledgerOf(parts, className);
      if (kind === "keys" && ledger.phase !== "staged") return "reopen";
      const way = rollback(ledger, null);
      if (way === "too late") {
        throw new RotatorError("OUT_OF_ORDER", `${className}: the value before is gone, so ask for a rotation instead`);
      }
      if (way === "undo") return "undo";
      return { ...(way === "go on" ? {} : { begin: way }), until: "converged", grace: "keep" };
    }
  }
}

async function ledgerOf({ ledgers }: Parts, className: string): Promise<Outcome["ledger"]> {
  const stored = await ledgers.read(className);
  if (stored !== undefined) return stored.ledger;
  throw new RotatorError("SETTINGS", `${className}: there is no ledger; an update writes the first`);
}

/** A job waits for another run, as it has to tell the update how it went; who comes by schedule comes again. */
async function patiently(parts: Parts, verb: Verb, work: () => Promise<Outcome>): Promise<Outcome> {
  const end = machineClock.monotonic() + parts.plan.limits.busy;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const wait = verb !== "sweep" && error instanceof RotatorError && error.code === "BUSY";
      if (!wait || machineClock.monotonic() > end) throw error;
      await machineClock.sleep(parts.plan.limits.pause);
    }
  }
}

function wouldDo(ledger: Outcome["ledger"], decision: Decision): string {
  const where = `generation ${ledger.generation} is ${ledger.phase}`;
  switch (decision.kind) {
    case "step":
      return `${where}; would go on with ${decision.edge}`;
    case "wait":
      return `${where}; ${until(decision.until, decision.what)}`;
    case "rest":
      return `${where}; nothing to do`;
  }
}

function told({ ledger, steps, waitsFor, waitsUntil }: Outcome): string {
  const wait = waitsUntil === undefined ? "" : `, ${until(waitsUntil, waitsFor)}`;
  return `generation ${ledger.generation} is ${ledger.phase}${wait}${steps === 0 ? "; nothing to do" : ""}`;
}

/** A wait in words; the run by schedule goes on after it. */
function until(end: Date, what: string | undefined): string {
  return what === undefined
    ? `grace until ${end.toISOString()}`
    : `the run by schedule goes on by ${end.toISOString()} at the latest: ${what}`;
}
