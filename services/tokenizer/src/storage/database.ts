import { setTimeout as sleep } from "node:timers/promises";
import type { PoolConnection, QueryResult, ResultSetHeader } from "mysql2/promise";
import { StoreUnavailable } from "../core/errors.ts";
import type { Change, Database, DatabaseSession, Row, SqlValue } from "../core/ports.ts";
import { databaseError, errorClassOf, lostAgainstAnother, unavailable } from "./errors.ts";
import { type Attempt, Outage } from "./outage.ts";
import { type DatabaseCredentials, type DatabaseOptions, PoolGeneration } from "./pool.ts";

const drainLimit = 30_000;
const defaultWait = 5000;
const transactionTries = 4;
/** Statements with more values are sent as text: each of their lengths would be a prepared statement of its own. */
const preparedValues = 40;

/** A try of work that doesn't wait. */
const onlyTry = (): Attempt => ({ phase: "connecting", wrote: false, longest: undefined });

class ConnectionSession implements DatabaseSession {
  readonly #connection: PoolConnection;
  readonly #attempt: Attempt;

  constructor(connection: PoolConnection, attempt: Attempt) {
    this.#connection = connection;
    this.#attempt = attempt;
  }

  async query(sql: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return (await this.#send(sql, values)) as unknown as readonly Row[];
  }

  async execute(sql: string, values: readonly SqlValue[] = []): Promise<{ affectedRows: number; insertId: number }> {
    const { affectedRows, insertId } = (await this.#send(sql, values)) as ResultSetHeader;
    this.#attempt.wrote = true;
    return { affectedRows, insertId };
  }

  async #send(sql: string, values: readonly SqlValue[]): Promise<QueryResult> {
    try {
      if (values.length > preparedValues) return (await this.#connection.query(sql, [...values]))[0];
      return (await this.#connection.execute(sql, values.map(placed)))[0];
    } catch (thrown) {
      throw databaseError(thrown);
    }
  }
}

/** The driver sends numbers as floating point, which the server refuses in LIMIT; whole ones go as text, which it takes everywhere. */
const placed = (value: SqlValue): SqlValue =>
  typeof value === "bigint" || Number.isSafeInteger(value) ? String(value) : value;

/**
 * The card database. Logs in with the newest credentials: `useCredentials` changes them while it works.
 * Failures are StoreUnavailable (StatementRefused for a defect, CommitInDoubt) and DuplicateEntry; none of them holds a value.
 *
 * While the database hands over to another primary, reads and changes wait for `handOverWait` at most: what is known not to be done is
 * tried again on new connections. In an outage that is longer they fail at once, but for one at a time. Changes of which it isn't
 * known are not repeated here: their callers are told by CommitInDoubt.
 */
export class MySqlDatabase implements Database {
  #options: DatabaseOptions;
  #credentials: DatabaseCredentials;
  #current: PoolGeneration;
  readonly #reads: Outage;
  readonly #changes: Outage;
  readonly #draining = new Set<Promise<void>>();
  #replacing: Promise<void> = Promise.resolve();

  private constructor(options: DatabaseOptions, credentials: DatabaseCredentials, pool: PoolGeneration) {
    this.#options = options;
    this.#credentials = credentials;
    this.#current = pool;
    const wait = options.handOverWait ?? defaultWait;
    const { onRecovery: told } = options;
    this.#reads = new Outage(wait, "answer", (outage) => told?.("reads", outage));
    this.#changes = new Outage(wait, "change", (outage) => told?.("changes", outage));
  }

  /**
   * Opens the database with the first credentials that it accepts: the current ones, then those of the grace period.
   *
   * @throws StoreUnavailable with the class of the last refusal
   */
  static async open(options: DatabaseOptions, candidates: readonly DatabaseCredentials[]): Promise<MySqlDatabase> {
    let refusal: unknown = unavailable("NO_CREDENTIALS");
    for (const credentials of candidates) {
      try {
        return new MySqlDatabase(options, credentials, await login(options, credentials));
      } catch (error) {
        refusal = error;
        if (errorClassOf(error) !== "ER_ACCESS_DENIED_ERROR") break;
      }
    }
    throw refusal;
  }

  /**
   * Logs in with other credentials from now on. Running work ends on its old connections, which are then closed.
   *
   * @throws StoreUnavailable if the login is refused; the old credentials stay in use
   */
  async useCredentials(credentials: DatabaseCredentials): Promise<void> {
    if (this.uses(credentials)) return;
    await this.#replace(() => ({ options: this.#options, credentials }));
  }

  /** Whether new connections log in with these credentials. */
  uses({ user, password }: DatabaseCredentials): boolean {
    return user === this.#credentials.user && password === this.#credentials.password;
  }

  /**
   * Shows the server another client certificate from now on, as `useCredentials` changes the login.
   *
   * @throws StoreUnavailable if the login with it is refused; the old one stays in use
   */
  async useClientCertificate(client: NonNullable<DatabaseOptions["client"]>): Promise<void> {
    await this.#replace(() => ({ options: { ...this.#options, client }, credentials: this.#credentials }));
  }

  /** Changes of login and certificate come one after the other, each on top of what the one before has left. */
  #replace(next: () => { options: DatabaseOptions; credentials: DatabaseCredentials }): Promise<void> {
    const work = this.#replacing.then(async () => {
      const { options, credentials } = next();
      const pool = await login(options, credentials);
      const previous = this.#current;
      this.#current = pool;
      this.#options = options;
      this.#credentials = credentials;
      const drained = previous.drain(drainLimit).finally(() => this.#draining.delete(drained));
      this.#draining.add(drained);
    });
    // Its caller hears of a failure; the next change doesn't wait for that.
    this.#replacing = work.catch(() => undefined);
    return work;
  }

  query(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]> {
    return this.#reads.bridge((attempt) => this.#query(attempt, sql, values));
  }

  execute(sql: string, values?: readonly SqlValue[]): Promise<{ affectedRows: number; insertId: number }> {
    return this.#changes.bridge((attempt) =>
      this.#lend(attempt, (connection) => {
        attempt.phase = "committing";
        return new ConnectionSession(connection, attempt).execute(sql, values);
      }),
    );
  }

  /**
   * Runs `work` in a transaction: committed when its promise is fulfilled, rolled back when it is rejected. After a deadlock or a
   * lock timeout it runs again, at most three times more, and in a hand-over until it is done, so it must have no effect outside of
   * the database.
   */
  transaction<T>(work: (session: DatabaseSession) => Promise<T>): Promise<T> {
    return this.#changes.bridge((attempt) => this.#transaction(attempt, work));
  }

  /** Repeated like `transaction`. The text is put together from the statements and their escaped values. */
  together(changes: readonly Change[]): Promise<void> {
    return this.#changes.bridge((attempt) =>
      this.#again(attempt, (connection) => inOneTrip(connection, attempt, changes)),
    );
  }

  /** The same without waiting, and whatever is known of an outage. An answer is news for those who do wait. */
  readonly atOnce: Database["atOnce"] = {
    query: async (sql, values) => {
      const rows = await this.#query(onlyTry(), sql, values);
      for (const outage of [this.#reads, this.#changes]) outage.answered();
      return rows;
    },
    transaction: (work) => this.#transaction(onlyTry(), work),
  };

  #query(attempt: Attempt, sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]> {
    return this.#lend(attempt, (connection) => new ConnectionSession(connection, attempt).query(sql, values));
  }

  #transaction<T>(attempt: Attempt, work: (session: DatabaseSession) => Promise<T>): Promise<T> {
    return this.#again(attempt, (connection) => inTransaction(connection, attempt, work));
  }

  /** Who could have no connection of a login that was replaced meanwhile gets one of the login that took its place. */
  async #lend<T>(attempt: Attempt, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    for (;;) {
      const pool = this.#current;
      try {
        return await pool.lend(attempt, work);
      } catch (error) {
        if (attempt.phase !== "connecting" || pool === this.#current) throw error;
      }
    }
  }

  async #again<T>(attempt: Attempt, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    for (let count = 1; ; count += 1) {
      try {
        return await this.#lend(attempt, work);
      } catch (error) {
        if (!lostAgainstAnother(error) || count === transactionTries) throw error;
        await sleep(Math.random() * 10 * count);
      }
    }
  }

  /** Waits for no hand-over: the lock ends with its server, and work that goes on elsewhere would go on without it. */
  async withLock<T>(
    name: string,
    seconds: number,
    work: (session: DatabaseSession) => Promise<T>,
  ): Promise<T | undefined> {
    const attempt = onlyTry();
    return this.#lend(attempt, async (connection) => {
      const session = new ConnectionSession(connection, attempt);
      if (!(await lock(session, name, seconds))) return undefined;
      try {
        return await work(session);
      } finally {
        await session.query("SELECT RELEASE_LOCK(?)", [name]);
      }
    });
  }

  /** Connections of the pool: working, waiting for work, and the most there may be. */
  get connections(): { readonly used: number; readonly idle: number; readonly max: number } {
    const { open, used } = this.#current.counts;
    return { used, idle: Math.max(0, open - used), max: this.#options.poolSize };
  }

  /** Waits for running work (30 s at most), then closes every connection. */
  async close(): Promise<void> {
    await Promise.all([this.#current.drain(drainLimit), ...this.#draining]);
  }
}

async function login(options: DatabaseOptions, credentials: DatabaseCredentials): Promise<PoolGeneration> {
  const pool = new PoolGeneration(options, credentials);
  try {
    await pool.lend(onlyTry(), (connection) => connection.query("SELECT 1"));
    return pool;
  } catch (error) {
    await pool.drain(0);
    throw error;
  }
}

/** Waits for a named lock in steps shorter than the time limit of a statement. */
async function lock(session: DatabaseSession, name: string, seconds: number): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const step = Math.max(0, Math.min(5, Math.ceil((end - performance.now()) / 1000)));
    const [row] = await session.query("SELECT GET_LOCK(?, ?) AS held", [name, step]);
    if (row?.["held"] === 1) return true;
    if (performance.now() >= end) return false;
  }
}

async function inTransaction<T>(
  connection: PoolConnection,
  attempt: Attempt,
  work: (session: DatabaseSession) => Promise<T>,
): Promise<T> {
  await connection.query("START TRANSACTION");
  return orRollBack(connection, attempt, async () => {
    const result = await work(new ConnectionSession(connection, attempt));
    attempt.phase = "committing";
    await connection.query("COMMIT");
    return result;
  });
}

/** The server stops at the first statement that fails, with the transaction open. */
async function inOneTrip(connection: PoolConnection, attempt: Attempt, changes: readonly Change[]): Promise<void> {
  const texts = changes.map(({ sql, values }) => connection.format(sql, [...values]));
  await orRollBack(connection, attempt, async () => {
    attempt.phase = "committing";
    await connection.query(["START TRANSACTION", ...texts, "COMMIT"].join(";\n"));
    attempt.wrote = true;
  });
}

async function orRollBack<T>(connection: PoolConnection, attempt: Attempt, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = databaseError(thrown);
    if (!(error instanceof StoreUnavailable)) {
      // The server refused a statement before the COMMIT, or `work` gave up.
      attempt.phase = "working";
      await connection.query("ROLLBACK");
    }
    // A connection that is in doubt is closed by the pool, which rolls back too.
    throw error;
  }
}
