import { Command, tail } from "./command.ts";
import { type DrilledClass, ledgerOf } from "./ledger-watch.ts";
import { endedWell, password, quiet, type Site } from "./site.ts";
import type { Loaded } from "./streams.ts";

/** What a drill works with, and tells. */
export interface Drill {
  readonly site: Site;
  /** Cards a second. */
  readonly rate: number;
  /** A line of how it goes. */
  readonly say: (line: string) => void;
  /** A figure for the table. */
  readonly seen: (figure: string) => void;
  /** What isn't as it should be: the drill fails, and goes on. */
  readonly wrong: (what: string) => void;
}

/** Where a class stands before a drill. */
export interface Before {
  readonly className: DrilledClass;
  /** The highest generation. */
  readonly generation: number;
  /** The password of the application's account, for the class of the database; never printed. */
  readonly old: string | undefined;
}

/** Waits until nothing is under way. */
export async function before(className: DrilledClass): Promise<Before> {
  await quiet();
  const { generation } = await ledgerOf(className);
  return { className, generation, old: className === "database" ? await password() : undefined };
}

/** Sees that a drill of one rotation ended well: `count` generations were begun since. */
export async function after({ site, seen }: Drill, { className, generation, old }: Before, count = 1): Promise<void> {
  const phase = await endedWell(site, { className, generation: generation + count, old });
  seen(`${phase}, ${count} ${count === 1 ? "generation" : "generations"}, everybody on the live one, a card passes`);
}

/** Tells what a load has seen; a request that failed is wrong. */
export function judge({ seen, wrong }: Drill, { lines, failed }: Loaded): void {
  for (const line of lines) seen(line);
  if (failed > 0) wrong(`${failed} requests failed`);
}

/**
 * Brings the platform up to date. A lock that a killed engine left is taken away first, as its message says.
 * @throws Error where the update fails
 */
export async function update({ say, seen }: Drill): Promise<void> {
  const first = Command.deploy("up", "--yes");
  const { status, printed } = await first.end(1_200);
  if (status === 0) return;
  if (!/the stack is locked by/.test(printed)) throw new Error(`the update after it fails:\n${tail(printed)}`);
  say("the stack is locked by the engine that was killed: stack unlock, as the message says");
  seen("the stack's lock was taken away by stack unlock");
  await Command.deploy("stack", "unlock").succeed(60);
  await Command.deploy("up", "--yes").succeed(1_200);
}

/** Does something while a command goes on, which is ended in any case. @throws Error where either fails */
export async function during<Result>(command: Command, work: (given: AbortSignal) => Promise<Result>): Promise<Result> {
  const over = new AbortController();
  const working = work(over.signal);
  try {
    const [result] = await Promise.all([working, failing(command)]);
    return result;
  } finally {
    over.abort();
    await Promise.allSettled([working]);
    await command.stop();
  }
}

/** The longest that a command of a drill may take, in seconds. */
const longest = 1_200;

/** Resolves at the command's good end. */
const failing = (command: Command): Promise<unknown> => command.succeed(longest);
