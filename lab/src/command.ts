import { spawn, type SpawnOptions } from "node:child_process";
import { existsSync } from "node:fs";
import { LabError } from "./errors.ts";

/** What a finished command left. */
export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to the command's standard input, which is then closed. */
  readonly input?: string;
  /** Called with each whole line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
  /** After this many milliseconds the command is killed and counts as failed. Default 10 minutes. */
  readonly timeout?: number;
}

/**
 * Runs a command to its end and returns what it printed, whatever its exit status: 127 where there is no such program,
 * as a shell has it. Rejects if it can't be started for another reason.
 */
export function attempt(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [name, ...rest] = command;
  if (name === undefined) throw new Error("an empty command");
  return new Promise((resolve, reject) => {
    const spawning: SpawnOptions = {
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      timeout: options.timeout ?? 600_000,
      killSignal: "SIGKILL",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    };
    const child = spawn(name, rest, spawning);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let partial = "";
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr.push(chunk);
      if (options.onErrorLine === undefined) return;
      const lines = (partial + chunk.toString("utf8")).split("\n");
      partial = lines.pop() ?? "";
      for (const line of lines) options.onErrorLine(line);
    });
    child.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT" && (options.cwd === undefined || existsSync(options.cwd))) {
        resolve({ status: 127, stdout: "", stderr: `${name}: not found` });
        return;
      }
      reject(new LabError("COMMAND_FAILED", `${name} could not be started: ${cause.message}`, { cause }));
    });
    child.once("close", (status) => {
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
      resolve({ status: status ?? 137, stdout: text(stdout), stderr: text(stderr) });
    });
    child.stdin?.on("error", () => {
      // The command closed its input early; its exit status tells the outcome.
    });
    child.stdin?.end(options.input);
  });
}

/** As `attempt`, but a non-zero exit status rejects with what the command printed last. Returns standard output. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, options);
  if (status === 0) return stdout;
  const printed = (stderr.trim() === "" ? stdout : stderr).trim().split("\n").slice(-20).join("\n");
  throw new LabError("COMMAND_FAILED", `${command.slice(0, 3).join(" ")} … ended with status ${status}:\n${printed}`);
}
