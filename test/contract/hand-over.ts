import { newCrypter } from "@tokenshield/engine/secrets";
import { runEmbedded, runPulumi, type CommandResult } from "./support/engines.ts";
import { passphrase, Workspace } from "./support/workspace.ts";

/**
 * Hands one stack with secrets from the embedded engine to the Pulumi CLI on the PATH and back, and says what each
 * step did: `npm run hand-over`.
 */
const scenario = "secrets";
const workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");

// Steps 1 and 2 of the scenario are one program; step 3 is that program with another secret.
const steps: readonly (readonly [string, number, "embedded" | "cli", readonly string[]])[] = [
  ["the engine creates", 1, "embedded", ["up", "--yes"]],
  ["the CLI sees no changes", 1, "cli", ["preview", "--expect-no-changes"]],
  ["the CLI refreshes and sees no changes", 1, "cli", ["refresh", "--yes", "--skip-preview", "--expect-no-changes"]],
  ["the CLI changes a secret", 3, "cli", ["up", "--yes", "--skip-preview"]],
  ["the engine sees no changes", 3, "embedded", ["preview", "--expect-no-changes"]],
  ["the engine refreshes and sees no changes", 3, "embedded", ["refresh", "--yes", "--expect-no-changes"]],
  ["the engine changes the secret back", 1, "embedded", ["up", "--yes"]],
  ["the CLI reads the secret output", 1, "cli", ["stack", "output", "a", "--show-secrets"]],
  ["the CLI exports and checks the state", 1, "cli", ["stack", "export"]],
  ["the CLI destroys", 1, "cli", ["destroy", "--yes", "--skip-preview"]],
  ["the engine finds nothing left", 1, "embedded", ["destroy", "--yes", "--expect-no-changes"]],
];

try {
  for (const [title, step, engine, args] of steps) {
    const environment = workspace.environment(scenario, step);
    const run = (): Promise<CommandResult> =>
      engine === "embedded"
        ? runEmbedded(workspace, args, environment)
        : runPulumi(workspace, [...args, "--stack", workspace.stack], environment);
    const { exit, output } = await run();
    process.stdout.write(`${exit === 0 ? "ok  " : "FAIL"} ${title}: ${engine} ${args.join(" ")}\n`);
    if (exit !== 0) {
      process.stdout.write(output);
      process.exitCode = 1;
      break;
    }
    if (args[0] === "stack" && args[1] === "output" && output.trim() !== "one") {
      process.stdout.write("FAIL the secret output isn't what the engine wrote\n");
      process.exitCode = 1;
    }
  }
} finally {
  workspace.remove();
}
