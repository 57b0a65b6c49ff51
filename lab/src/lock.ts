import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { LabError } from "./errors.ts";
import type { Progress } from "./progress.ts";

/**
 * Does work that no two processes of this machine may do at the same time. The kernel keeps the lock (flock(2)) and
 * takes it back when this process ends in whatever way.
 *
 * @param path a file that is only locked, never read
 * @param what the work that another one may be doing, to be told while this one waits
 * @throws LabError COMMAND_FAILED where the file can't be locked
 */
export async function locked<T>(path: string, progress: Progress, what: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  // flock ends with its command, and that with its input, which this process holds.
  const holder = spawn("flock", [path, "sh", "-c", "echo; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
  holder.stdin.on("error", () => {
    // It ended by itself, which `ended` tells.
  });
  const ended = once(holder, "close").then(([status]) => {
    throw new LabError("COMMAND_FAILED", `flock ${path} ended with status ${String(status)}`);
  });
  const held = once(holder.stdout, "data");
  const waiting = setTimeout(() => {
    progress.say(`Another process is ${what}; waiting for it.`);
  }, 1_000);
  try {
    await Promise.race([held, ended]);
    clearTimeout(waiting);
    // From here on its end is no failure.
    ended.catch(() => undefined);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
  }
}
