import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import type Mocha from "mocha";

const mocha = createRequire(import.meta.url)("mocha") as typeof Mocha;

/** What one mocha run counted. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** What one mocha run counted, in all and of each file of tests that something failed in. */
export interface Outcome extends Counts {
  /** By path; a failure that belongs to no file, as one of a hook of the whole run, is in none. */
  readonly failures: Record<string, Counts & { readonly titles: string[] }>;
}

/**
 * Mocha's `spec` reporter, which also writes its counts as JSON to the file named by TOKENSHIELD_TEST_COUNTS,
 * so that the runner can add up several runs.
 */
export default class CountingReporter extends mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { EVENT_TEST_PASS, EVENT_TEST_PENDING, EVENT_TEST_FAIL, EVENT_RUN_END } = mocha.Runner.constants;
    const files: Record<string, Counts & { readonly titles: string[] }> = {};
    const count = (kind: keyof Counts) => (test: Mocha.Test) => {
      if (test.file === undefined) return;
      const counts = (files[test.file] ??= { passed: 0, failed: 0, skipped: 0, titles: [] });
      counts[kind] += 1;
      if (kind === "failed") counts.titles.push(test.fullTitle());
    };
    runner.on(EVENT_TEST_PASS, count("passed"));
    runner.on(EVENT_TEST_PENDING, count("skipped"));
    runner.on(EVENT_TEST_FAIL, count("failed"));
    runner.once(EVENT_RUN_END, () => {
      const path = process.env["TOKENSHIELD_TEST_COUNTS"];
      if (path === undefined) return;
      const { passes, failures, pending } = this.stats;
      const failed = Object.fromEntries(Object.entries(files).filter(([, counts]) => counts.failed > 0));
      const outcome: Outcome = { passed: passes, failed: failures, skipped: pending, failures: failed };
      writeFileSync(path, JSON.stringify(outcome));
    });
  }
}
