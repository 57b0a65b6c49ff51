import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { relative } from "node:path";
import type Mocha from "mocha";

const mocha = createRequire(import.meta.url)("mocha") as typeof Mocha;

/** What one mocha run counted. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Has a mocha run end after the test that is running, with what its suites do at their end. */
export const endEarly = "SIGUSR2";

/** What one mocha run counted, in all and of each file of tests that something failed in. */
export interface Outcome extends Counts {
  /** By path; a failure that belongs to no file, as one of a hook of the whole run, is in none. */
  readonly failures: Record<string, Counts & { readonly titles: string[] }>;
  /** What failed and why, in the order in which it did. */
  readonly reports: readonly Report[];
}

/** What is told once more at the end of all: a log that is cut at its front still has it. */
export interface Report {
  /** Unsteady: it failed, and passed when it was run again. */
  readonly kind: "failed" | "unsteady";
  readonly what: string;
  readonly why: string;
}

/** Lines of one reason that are told again; the step's own output has all of them. */
const linesOfReason = 20;

/** A run that takes longer, in milliseconds, tells how long each file took. */
const long = 60_000;

/**
 * Mocha's `spec` reporter, which also writes its counts as JSON to the file named by TOKENSHIELD_TEST_COUNTS,
 * so that the runner can add up several runs.
 */
export default class CountingReporter extends mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { EVENT_SUITE_BEGIN, EVENT_SUITE_END } = mocha.Runner.constants;
    const { EVENT_TEST_PASS, EVENT_TEST_PENDING, EVENT_TEST_FAIL, EVENT_RUN_END } = mocha.Runner.constants;
    const files: Record<string, Counts & { readonly titles: string[] }> = {};
    const count = (kind: keyof Counts) => (test: Mocha.Test) => {
      if (test.file === undefined) return;
      const counts = (files[test.file] ??= { passed: 0, failed: 0, skipped: 0, titles: [] });
      counts[kind] += 1;
      if (kind === "failed") counts.titles.push(test.fullTitle());
    };
    const reports: Report[] = [];
    runner.on(EVENT_TEST_FAIL, (test: Mocha.Test, error: unknown) => {
      const file = test.file === undefined ? "" : `${relative(process.cwd(), test.file)}: `;
      reports.push({ kind: "failed", what: `${file}${test.fullTitle()}`, why: reasonOf(error) });
    });
    runner.on(EVENT_TEST_PASS, count("passed"));
    runner.on(EVENT_TEST_PENDING, count("skipped"));
    runner.on(EVENT_TEST_FAIL, count("failed"));
    const took = new Map<string, number>();
    let begun = 0;
    const isOfFile = (suite: Mocha.Suite): boolean => suite.parent?.root === true && suite.file !== undefined;
    runner.on(EVENT_SUITE_BEGIN, (suite) => {
      if (isOfFile(suite)) begun = performance.now();
    });
    runner.on(EVENT_SUITE_END, (suite) => {
      const { file = "" } = suite;
      if (isOfFile(suite)) took.set(file, (took.get(file) ?? 0) + performance.now() - begun);
    });
    const end = (): void => void runner.abort();
    process.once(endEarly, end);
    runner.once(EVENT_RUN_END, () => {
      process.off(endEarly, end);
      if ((this.stats.duration ?? 0) > long) tell(took);
      const path = process.env["TOKENSHIELD_TEST_COUNTS"];
      if (path === undefined) return;
      const { passes, failures, pending } = this.stats;
      const failed = Object.fromEntries(Object.entries(files).filter(([, counts]) => counts.failed > 0));
      const outcome: Outcome = { passed: passes, failed: failures, skipped: pending, failures: failed, reports };
      writeFileSync(path, JSON.stringify(outcome));
    });
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = text.split("\n").filter((line) => !/^ +at .*(?:node:|node_modules)/.test(line));
  return lines.slice(0, linesOfReason).join("\n");
}

/** Says how long each file took, the longest first. */
function tell(took: ReadonlyMap<string, number>): void {
  const lines = [...took]
    .sort(([, one], [, other]) => other - one)
    .map(([file, time]) => `  ${(time / 1000).toFixed(1).padStart(7)} s  ${relative(process.cwd(), file)}\n`);
  process.stdout.write(`${lines.join("")}\n`);
}
