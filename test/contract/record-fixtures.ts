import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newCrypter } from "@tokenshield/engine/secrets";
import { scenarios } from "./program/scenarios.ts";
import { runPulumi } from "./support/engines.ts";
import { takeRecording, type StepRecording } from "./support/recording.ts";
import { passphrase, stepFlags, Workspace } from "./support/workspace.ts";

/**
 * Runs all scenarios, or the named ones, under the Pulumi CLI 3.259.0 on the PATH and writes what it did to
 * `fixtures/`: `npm run fixtures [-- NAME …]`.
 */
const wanted = process.argv.slice(2);
const folder = join(import.meta.dirname, "fixtures");
mkdirSync(folder, { recursive: true });
const salt = (await newCrypter(passphrase)).state["salt"] ?? "";

for (const scenario of scenarios) {
  if (wanted.length > 0 && !wanted.includes(scenario.name)) continue;
  const workspace = new Workspace(salt);
  try {
    const created = await runPulumi(
      workspace,
      ["stack", "init", workspace.stack],
      workspace.environment(scenario.name, 0),
    );
    if (created.exit !== 0) throw new Error(`the stack can't be made:\n${created.output}`);
    const steps: StepRecording[] = [];
    for (const [index, step] of scenario.steps.entries()) {
      step.before?.(workspace.cloud);
      workspace.configure(step.config ?? {});
      const args = [step.command, "--stack", workspace.stack, ...stepFlags(step)];
      const { exit, output } = await runPulumi(workspace, args, workspace.environment(scenario.name, index));
      if (exit !== (step.exit ?? 0)) {
        throw new Error(`${scenario.name}, step ${index}: exit ${exit}, expected ${step.exit ?? 0}:\n${output}`);
      }
      steps.push(await takeRecording(workspace, exit));
    }
    const fixture = { scenario: scenario.name, about: scenario.about, steps };
    writeFileSync(join(folder, `${scenario.name}.json`), `${JSON.stringify(fixture, undefined, 1)}\n`);
    process.stdout.write(`${scenario.name}\n`);
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    workspace.remove();
  }
}
