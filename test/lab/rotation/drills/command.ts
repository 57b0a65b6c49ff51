import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const root = join(import.meta.dirname, "../../../..");

/** How a command ended, and all that it printed. */
export interface Ended {
  readonly status: number;
  readonly printed: string;
}

/** A command of an operator that goes on while a drill does something else. */
export class Command {
  static readonly #running = new Set<Command>();
  readonly words: string;
  readonly #pid: number;
  readonly #ended: Promise<number>;
  readonly #chunks: string[] = [];
  #goesOn = true;

  private constructor(script: string, words: readonly string[], name: string) {
    this.words = [name, ...words].join(" ");
    const child = spawn(process.execPath, [join(root, script), ...words], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#pid = child.pid ?? 0;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => this.#chunks.push(chunk));
    }
    Command.#running.add(this);
    this.#ended = new Promise((resolve) => {
      const over = (status: number): void => {
        this.#goesOn = false;
        Command.#running.delete(this);
        resolve(status);
      };
      child.once("error", (error) => {
        this.#chunks.push(error.message);
        over(127);
      });
      child.once("close", (status) => {
        over(status ?? 137);
      });
    });
  }

  /** Stops every command that goes on, where a campaign is broken off: an engine gives its stack's lock back. */
  static async stopAll(): Promise<void> {
    await Promise.all([...Command.#running].map((command) => command.stop()));
  }

  /** `npm run rotate -- …` */
  static rotate(...words: readonly string[]): Command {
    return new Command("lab/src/rotate/main.ts", words, "rotate");
  }

  /** `npm run COMMAND -- …` of the deployment. */
  static deploy(...words: readonly string[]): Command {
    const engine = words[0] === "up" ? ["--engine", "embedded"] : [];
    return new Command("lab/src/deploy.ts", [...words, ...engine], "deploy");
  }

  get printed(): string {
    return this.#chunks.join("");
  }

  /**
   * Waits for its end.
   * @param patience seconds; a command that takes longer is ended
   * @throws Error where it takes longer
   */
  async end(patience: number): Promise<Ended> {
    const status = await within(this.#ended, patience);
    if (status !== undefined) return { status, printed: this.printed };
    await this.stop();
    throw new Error(`${this.words} hasn't ended after ${patience} s:\n${tail(this.printed)}`);
  }

  /** The same; an exit status other than 0 is an error too, with the end of what was printed. */
  async succeed(patience: number): Promise<string> {
    const { status, printed } = await this.end(patience);
    if (status !== 0) throw new Error(`${this.words} ended with status ${status}:\n${tail(printed)}`);
    return printed;
  }

  /** Ends it as a terminal's interrupt does; what is there still after two minutes is killed. Nothing where it has ended. */
  async stop(): Promise<void> {
    if (!this.#goesOn) return;
    for (const pid of family(this.#pid)) signal(pid, "SIGINT");
    if ((await within(this.#ended, 120)) !== undefined) return;
    for (const pid of family(this.#pid)) signal(pid, "SIGKILL");
    await within(this.#ended, 10);
  }

  /**
   * Kills the deployment engine below it, with all that the engine runs, as the kernel does where memory is out.
   * @returns how many processes were killed; 0 where no engine runs
   */
  killEngine(): number {
    const engines = family(this.#pid).filter((pid) => commandLine(pid).includes("engine/src/main.ts"));
    const all = [...new Set(engines.flatMap((pid) => family(pid)))];
    for (const pid of all) signal(pid, "SIGKILL");
    return all.length;
  }
}

/** The end of what a command printed, enough to see why it failed. */
export const tail = (printed: string): string => printed.trim().slice(-1_500);

async function within<Value>(promise: Promise<Value>, seconds: number): Promise<Value | undefined> {
  const over = new AbortController();
  const late = sleep(seconds * 1000, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** @returns a process's command line, its words after one another; empty where it is gone */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** @returns a process and all below it, parents first */
function family(pid: number): readonly number[] {
  if (pid === 0) return [];
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: parentOf(Number(name)) }));
  const found = [pid];
  for (const one of found) found.push(...parents.filter(({ parent }) => parent === one).map((child) => child.pid));
  return found;
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

/** Sends a signal, where there is somebody still. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
