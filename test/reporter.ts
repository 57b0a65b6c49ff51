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

/**
 * Mocha's `spec` reporter, which also writes its counts as JSON to the file named by TOKENSHIELD_TEST_COUNTS,
 * so that the runner can add up several runs.
 */
export default class CountingReporter extends mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(mocha.Runner.constants.EVENT_RUN_END, () => {
      const file = process.env["TOKENSHIELD_TEST_COUNTS"];
      if (file === undefined) return;
      const { passes, failures, pending } = this.stats;
      writeFileSync(file, JSON.stringify({ passed: passes, failed: failures, skipped: pending } satisfies Counts));
    });
  }
}
