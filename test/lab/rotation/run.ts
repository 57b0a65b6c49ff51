import { spawn } from "node:child_process";
import { dirname, join } from "node:path";

const project = dirname(dirname(dirname(import.meta.dirname)));

/** How a run of the rotator ended. */
export interface Run {
  /** Its exit status, or the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** At which record of a run to kill it. */
export interface KillAt {
  readonly edge: string;
  readonly result: "begun" | "done";
  /** What to do there instead of the kill. */
  readonly instead?: () => void;
}

/**
 * Runs the rotator's bundle as its own process, to its end.
 *
 * @param environment what it is told, beside where programs lie
 * @param words its command line
 * @param kill at which of its records to kill it, or to do something else
 */
export function runRotator(
  environment: Readonly<Record<string, string>>,
  words: readonly string[],
  kill?: KillAt,
): Promise<Run> {
  const child = spawn(process.execPath, [join(project, "services/rotator/dist/main.mjs"), ...words], {
    env: { PATH: process.env["PATH"] ?? "", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let reacted = false;
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    if (kill === undefined || reacted || !reached(stderr, kill)) return;
    reacted = true;
    if (kill.instead === undefined) child.kill("SIGKILL");
    else kill.instead();
  });
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      resolve({ status: code ?? signal ?? "", stdout, stderr });
    });
  });
}

function reached(stderr: string, { edge, result }: KillAt): boolean {
  return stderr.split("\n").some((line) => line.includes(`"edge":"${edge}"`) && line.includes(`"result":"${result}"`));
}
