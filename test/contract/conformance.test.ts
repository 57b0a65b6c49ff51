import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { newCrypter } from "@tokenshield/engine/secrets";
import { scenarios } from "./program/scenarios.ts";
import { runEmbedded } from "./support/engines.ts";
import { takeRecording, type StepRecording } from "./support/recording.ts";
import { passphrase, stepFlags, Workspace } from "./support/workspace.ts";

describe("the embedded engine does what Pulumi CLI 3.259.0 was recorded to do", () => {
  let salt = "";
  before(async () => {
    salt = (await newCrypter(passphrase)).state["salt"] ?? "";
  });

  for (const scenario of scenarios) {
    it(`${scenario.name}: ${scenario.about}`, async () => {
      const file = join(import.meta.dirname, "fixtures", `${scenario.name}.json`);
      assert.ok(existsSync(file), `${file} is missing; record it with npm run fixtures -- ${scenario.name}`);
      const fixture = JSON.parse(readFileSync(file, "utf8")) as { readonly steps: readonly StepRecording[] };
      assert.equal(fixture.steps.length, scenario.steps.length);
      const workspace = new Workspace(salt);
      try {
        for (const [index, step] of scenario.steps.entries()) {
          step.before?.(workspace.cloud);
          workspace.configure(step.config ?? {});
          const args = [step.command, ...stepFlags(step)];
          const { exit, output } = await runEmbedded(workspace, args, workspace.environment(scenario.name, index));
          const where = `step ${index} (${args.join(" ")}), which printed:\n${output}`;
          assert.equal(exit, fixture.steps[index]?.exit, `exit status of ${where}`);
          assert.deepEqual(await takeRecording(workspace, exit), fixture.steps[index], where);
        }
      } finally {
        workspace.remove();
      }
    });
  }
});
