import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import { writeFile } from "../files.ts";
import { type Layout, paths } from "../layout.ts";
import { waitUntil } from "../wait.ts";
import { joinCgroup } from "./cgroups.ts";

/** A part's process as it was started. */
export interface Started {
  readonly pid: number;
  /** Start time in clock ticks since boot: with the pid it names one process for ever (proc(5), field 22 of stat). */
  readonly ticks: string;
  /** Digest of everything that shaped the process; a part whose digest changed is started anew. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

const recordPath = (at: Layout, part: string): string => join(at.run, "parts", `${part}.json`);

/** @returns the part's process if it is alive, else undefined */
export function running(at: Layout, part: string): Started | undefined {
  const path = recordPath(at, part);
  if (!existsSync(path)) return undefined;
  const started = JSON.parse(readFileSync(path, "utf8")) as Started;
  return startTicks(started.pid) === started.ticks ? started : undefined;
}

/** @returns field 22 of /proc/<pid>/stat, or undefined where there is no such process or it is a zombie */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined; // gone between one look and the next, which is the answer
  }
}

export interface Command {
  readonly words: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly fingerprint: string;
}

const longestLog = 64 * 1024 * 1024;

/** Starts a part as a process of its own session, in the lab's control group, with its output in its log file. */
export function start(at: Layout, part: string, command: Command): Started {
  const log = paths.log(at, part);
  mkdirSync(join(log, ".."), { recursive: true });
  if (existsSync(log) && statSync(log).size > longestLog) truncateSync(log);
  const output = openSync(log, "a", 0o600);
  try {
    const child = spawn("/bin/sh", ["-c", joinCgroup, "sh", ...command.words], {
      cwd: at.state,
      detached: true,
      env: command.env,
      stdio: ["ignore", output, output],
    });
    child.unref();
    const pid = child.pid;
    const ticks = pid === undefined ? undefined : startTicks(pid);
    if (pid === undefined || ticks === undefined) throw new Error(`${part} could not be started: see ${log}`);
    const started = { pid, ticks, fingerprint: command.fingerprint, since: Date.now() };
    writeFile(recordPath(at, part), JSON.stringify(started));
    return started;
  } finally {
    closeSync(output);
  }
}

/** Asks a part to end and, when it has not after `patience` milliseconds, ends it. Returns once it is gone. */
export async function stop(at: Layout, part: string, patience: number): Promise<void> {
  const started = running(at, part);
  if (started !== undefined) {
    signal(started, "SIGTERM");
    if (!(await gone(at, part, patience))) {
      signal(started, "SIGKILL");
      if (!(await gone(at, part, 5_000)))
        throw new Error(`${part} (pid ${started.pid}) does not end, not even when killed`);
    }
  }
  rmSync(recordPath(at, part), { force: true });
}

function gone(at: Layout, part: string, patience: number): Promise<boolean> {
  return waitUntil(() => running(at, part) === undefined, patience, 20);
}

function signal({ pid, ticks }: Started, name: NodeJS.Signals): void {
  if (startTicks(pid) === ticks) process.kill(pid, name);
}

/** Memory of a process in bytes, pages shared with others counted in equal parts (PSS, proc(5) smaps_rollup). */
export function memory(pid: number): number {
  const kibibytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

/** @returns the last lines of a part's log, for error messages */
export function logTail(at: Layout, part: string, lines: number): string {
  const log = paths.log(at, part);
  return existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n").slice(-lines).join("\n") : "(no log)";
}

/** @returns the parts that have left a record, alive or not */
export function recorded(at: Layout): readonly string[] {
  const folder = join(at.run, "parts");
  return existsSync(folder) ? readdirSync(folder).map((file) => file.replace(/\.json$/, "")) : [];
}
