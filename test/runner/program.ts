import { spawn } from "node:child_process";
import { appendFileSync, closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { basename, join } from "node:path";

/** How a program of the project is run. */
export interface ProgramArgs {
  readonly command: readonly string[];
  /** Folder of the project. */
  readonly root: string;
  /** File that takes what it prints. */
  readonly log: string;
  /** Milliseconds after which the program, and whatever it started in its process group, is killed. */
  readonly limit: number;
  /** How far behind others it stands for a processor, 0 to 19. */
  readonly niceness?: number;
  /** Says whether the program has done its work, so that it should end by itself. */
  readonly done?: () => boolean;
  readonly environment?: NodeJS.ProcessEnv;
}

/** A program that runs. */
export interface RunningProgram {
  /** Its exit status, 128 if a signal ended it. Rejects if it can't be started. */
  readonly ended: Promise<number>;
  /** Sends a signal to the program alone, not to what it started. */
  tell(kind: NodeJS.Signals): void;
  /** Ends it and what it started in its process group. */
  stop(): void;
}

/** How long a test run may stay once its last test ended, in milliseconds: something that it left open keeps it. */
const farewell = 30_000;

/** Has a process, which leads a session of its own, take what others leave. */
function standBehind(pid: number, niceness: number): void {
  setPriority(pid, niceness);
  // Where the kernel weighs sessions against each other, the value counts within one only (sched(7), autogroup).
  const session = `/proc/${pid}/autogroup`;
  if (process.getuid?.() === 0 && existsSync(session)) writeFileSync(session, niceness.toString());
}

/**
 * Starts a program in a process group of its own, which can be ended as a whole; the terminal's signals are passed on.
 */
export function start({ command, root, log, limit, niceness, done, environment }: ProgramArgs): RunningProgram {
  const [name, ...rest] = command;
  if (name === undefined) throw new Error("an empty command");
  const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`;
  const env = { ...process.env, PATH: path, ...environment };
  // Both streams go to one file, in the order in which they were written, and nothing is lost if the program is killed.
  const output = openSync(log, "a");
  const child = spawn(name, rest, { cwd: root, stdio: ["ignore", output, output], env, detached: true });
  closeSync(output);
  if (niceness !== undefined && child.pid !== undefined) standBehind(child.pid, niceness);
  const signalGroup = (kind: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, kind);
  };
  const kill = (why: string): void => {
    appendFileSync(log, `  ${basename(name)} was killed: ${why}\n`);
    signalGroup("SIGKILL");
  };
  const ended = new Promise<number>((resolve, reject) => {
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const kind of signals) process.on(kind, signalGroup);
    const timeUp = setTimeout(() => {
      kill(`it had not ended after ${(limit / 60_000).toString()} min`);
    }, limit);
    let doneSince: number | undefined;
    const watch = setInterval(() => {
      if (done?.() !== true) return;
      doneSince ??= Date.now();
      if (Date.now() - doneSince > farewell) kill("its tests ended, and something that they left open kept it");
    }, 1_000);
    const settle = (): void => {
      clearTimeout(timeUp);
      clearInterval(watch);
      for (const kind of signals) process.off(kind, signalGroup);
    };
    child.once("error", (error) => {
      settle();
      reject(error);
    });
    child.once("exit", (code) => {
      settle();
      resolve(code ?? 128);
    });
  });
  return {
    ended,
    tell: (kind) => void child.kill(kind),
    stop: () => {
      signalGroup("SIGTERM");
    },
  };
}
