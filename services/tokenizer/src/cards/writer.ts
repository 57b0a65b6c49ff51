import { setTimeout as sleep } from "node:timers/promises";
import { StoreUnavailable } from "../core/errors.ts";
import type { Change, DatabaseSession, SqlValue } from "../core/ports.ts";
import { DuplicateEntry } from "../core/ports.ts";

interface Waiting<In, Out> {
  readonly input: In;
  readonly rows: number;
  readonly resolve: (output: Out) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchOptions {
  /** Milliseconds that work waits at most for more of its kind. */
  readonly window: number;
  readonly mostRows: number;
  /** Transactions of this writer at the same time. */
  readonly concurrency: number;
  /** Inputs that wait at most; more are refused, so that a slow database doesn't fill the memory. */
  readonly mostWaiting: number;
}

/**
 * One transaction at a time: while it is written the next one gathers. Two at a time were measured too: with half as much in each,
 * every card cost a quarter more processor time and waited longer.
 */
export const batchDefaults: BatchOptions = { window: 2, mostRows: 400, concurrency: 1, mostWaiting: 5000 };

/** Too much work waits for the database already. Answered as 503 with Retry-After, like every StoreUnavailable. */
export class WriterOverloaded extends StoreUnavailable {
  constructor() {
    super(new Error("too many writes wait"));
    this.name = "WriterOverloaded";
  }
}

/** Part of the inputs that a batch may expect which is enough to begin it. */
const enough = 0.75;

/**
 * Gathers inputs that arrive within a short window and hands them together to `write`, which puts them into one transaction: one
 * commit, and one wait for the disk, serves them all. Callers that were answered just now may well come again at once, so a batch
 * waits until most of them are there, or for its window. An input that comes alone isn't kept waiting.
 */
export class BatchWriter<In, Out> {
  readonly #write: (inputs: readonly In[]) => Promise<readonly Out[]>;
  readonly #options: BatchOptions;
  readonly #waiting: Waiting<In, Out>[] = [];
  #waitingRows = 0;
  #running = 0;
  /** Inputs that the next batch may expect: those of the last one, and those that came meanwhile. */
  #expected = 1;
  #timer: NodeJS.Timeout | undefined;
  #begins: "at once" | "not yet" = "not yet";

  /** @param write resolves with one output for each input; when it rejects none of them was written */
  constructor(write: (inputs: readonly In[]) => Promise<readonly Out[]>, options: Partial<BatchOptions> = {}) {
    this.#write = write;
    this.#options = { ...batchDefaults, ...options };
  }

  add(input: In, rows: number): Promise<Out> {
    if (this.#waiting.length >= this.#options.mostWaiting) return Promise.reject(new WriterOverloaded());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, rows, resolve, reject });
      this.#waitingRows += rows;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#running >= this.#options.concurrency || this.#waiting.length === 0 || this.#begins === "at once") return;
    if (this.#waiting.length < this.#expected * enough && this.#waitingRows < this.#options.mostRows) {
      this.#timer ??= setTimeout(() => {
        this.#begin();
      }, this.#options.window);
      return;
    }
    clearTimeout(this.#timer);
    this.#begins = "at once";
    // What arrives in this turn of the event loop goes along.
    setImmediate(() => {
      this.#begin();
    });
  }

  #begin(): void {
    this.#timer = undefined;
    this.#begins = "not yet";
    void this.#flush();
  }

  async #flush(): Promise<void> {
    const batch = this.#take();
    if (batch.length === 0) return;
    this.#running++;
    this.#schedule();
    try {
      await this.#writeBatch(batch);
    } finally {
      this.#running--;
      this.#expected = batch.length + this.#waiting.length;
      this.#schedule();
    }
  }

  async #writeBatch(batch: readonly Waiting<In, Out>[]): Promise<void> {
    try {
      const outputs = await this.#write(batch.map(({ input }) => input));
      batch.forEach(({ resolve, reject }, index) => {
        const output = outputs[index];
        if (output === undefined) reject(new Error("a batch gave no output for an input"));
        else resolve(output);
      });
    } catch (error) {
      if (batch.length > 1 && isOfOneInput(error)) {
        // One input that the database refuses must not fail its neighbours.
        for (const single of batch) await this.#writeBatch([single]);
        return;
      }
      for (const { reject } of batch) reject(error);
    }
  }

  #take(): readonly Waiting<In, Out>[] {
    let count = 0;
    let rows = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && rows + waiting.rows > this.#options.mostRows) break;
      count++;
      rows += waiting.rows;
    }
    this.#waitingRows -= rows;
    return this.#waiting.splice(0, count);
  }
}

/** Whether an error comes of what one input holds and not of the state of the database. */
function isOfOneInput(error: unknown): boolean {
  return !(error instanceof StoreUnavailable) || error.name === "StatementRefused";
}

/** INSERT of many rows in one statement; nothing for no rows. */
export function insertion(
  table: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
): readonly [Change] | readonly [] {
  if (rows.length === 0) return [];
  const place = `(${columns.map(() => "?").join(",")})`;
  const sql = `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${rows.map(() => place).join(",")}`;
  return [{ sql, values: rows.flat() }];
}

/** Inserts many rows by one statement. */
export async function insertRows(
  session: DatabaseSession,
  ...[table, columns, rows]: Parameters<typeof insertion>
): Promise<void> {
  for (const { sql, values } of insertion(table, columns, rows)) await session.execute(sql, values);
}

/**
 * Runs a transaction again, at most `tries` times, while a unique index refuses it: another replica wrote the same, or a
 * random token is taken, and the next run sees or avoids that.
 */
export async function untilUnique<T>(tries: number, transaction: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction();
    } catch (error) {
      if (!(error instanceof DuplicateEntry)) throw error;
      if (attempt === tries) throw new StoreUnavailable(error);
      await sleep(attempt);
    }
  }
}
