import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** How a program of an unpacked image is started. */
export interface ChrootArgs {
  /** Root file system of the image. */
  readonly root: string;
  /** Folders and files of the machine by the path where the program finds them. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly command: readonly [string, ...string[]];
  /** File that takes what the program prints. */
  readonly log: string;
}

/** The user of a tenant's pods. */
export const podUser = 1000;

// The mounts are in a mount namespace of the program's own, so nothing stays mounted after it.
const script = `
set -eu
root=$1; shift
while [ "$1" != -- ]; do
  if [ -d "$2" ]; then mkdir -p "$root$1"; else touch "$root$1"; fi
  mount --bind "$2" "$root$1"
  shift 2
done
shift
exec chroot --userspec=${podUser}:${podUser} "$root" "$@"
`;

/** A program of an image as a process of this machine: without a cluster, as the user that pods have. */
export class ChrootProcess {
  readonly #child: ChildProcess;
  readonly #log: string;

  constructor({ root, mounts, command, log }: ChrootArgs) {
    this.#log = log;
    if (!existsSync(log)) writeFileSync(log, "");
    chownSync(log, podUser, podUser);
    const pairs = Object.entries(mounts).flat();
    const words = [
      "--mount",
      "--propagation",
      "private",
      "bash",
      "-c",
      script,
      "chroot",
      root,
      ...pairs,
      "--",
      ...command,
    ];
    const file = openSync(log, "a");
    // A group of its own, so that a wrapper's children end with it.
    this.#child = spawn("unshare", words, { stdio: ["ignore", file, file], detached: true });
    closeSync(file);
  }

  /** What it has printed so far. */
  get printed(): string {
    return readFileSync(this.#log, "utf8");
  }

  /** Whether it still runs. */
  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits until something listens on a port of this machine. */
  async listens(port: number): Promise<void> {
    const end = performance.now() + 20_000;
    while (!(await isOpen(port))) {
      if (!this.running) throw new Error(`it ended with status ${this.#child.exitCode ?? "none"}:\n${this.printed}`);
      if (performance.now() > end) throw new Error(`nothing listens on ${port}:\n${this.printed}`);
      await sleep(50);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns its exit status, null if a signal ended it */
  ended(): Promise<number | null> {
    return new Promise((resolve) => {
      if (!this.running) resolve(this.#child.exitCode);
      else
        this.#child.once("exit", (status) => {
          resolve(status);
        });
    });
  }

  /** Ends it and whatever it started. */
  async stop(): Promise<void> {
    if (this.running && this.#child.pid !== undefined) process.kill(-this.#child.pid, "SIGKILL");
    await this.ended();
  }
}

/** Runs a program of an image to its end. @returns its exit status and what it printed */
export async function runInChroot(
  args: ChrootArgs,
): Promise<{ readonly status: number | null; readonly printed: string }> {
  const running = new ChrootProcess(args);
  const status = await running.ended();
  return { status, printed: running.printed };
}

/** Whether a connection to a port of this machine is taken. */
export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
