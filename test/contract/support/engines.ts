import { spawn } from "node:child_process";
import { runCli } from "@tokenshield/engine";
import type { Workspace } from "./workspace.ts";

/** How a command went. */
export interface CommandResult {
  readonly exit: number;
  readonly output: string;
}

/** Runs a command under the embedded engine, in this process. */
export function runEmbedded(
  workspace: Workspace,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<CommandResult> {
  const stack = args.includes("--stack") ? [] : ["--stack", workspace.stack];
  return runWithin(workspace, [...args, ...stack, "--engine", "embedded"], environment);
}

/** Runs a command about stacks. */
export function runStack(workspace: Workspace, args: readonly string[]): Promise<CommandResult> {
  return runWithin(workspace, ["stack", ...args, "--stack", workspace.stack], workspace.environment("", 0));
}

async function runWithin(
  workspace: Workspace,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<CommandResult> {
  let output = "";
  const write = (text: string) => {
    output += text;
  };
  const exit = await runCli(args, {
    root: workspace.root,
    environment,
    now: () => new Date(),
    embedded: {},
    write,
    writeError: write,
    isTerminal: false,
  });
  return { exit, output };
}

/** Runs a command under the Pulumi CLI, which must be on the PATH. */
export function runPulumi(
  workspace: Workspace,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<CommandResult> {
  const child = spawn("pulumi", [...args, "--non-interactive"], { cwd: workspace.root, env: environment });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ exit: code === null ? 1 : Math.min(code, 1), output });
    });
  });
}
