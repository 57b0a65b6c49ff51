import { setTimeout as sleep } from "node:timers/promises";
import type { PoolConnection, QueryResult, ResultSetHeader } from "mysql2/promise";
import { StoreUnavailable } from "../core/errors.ts";
import type { Change, Database, DatabaseSession, Row, SqlValue } from "../core/ports.ts";
import { databaseError, errorClassOf, lostAgainstAnother, unavailable } from "./errors.ts";
import { type DatabaseCredentials, type DatabaseOptions, PoolGeneration } from "./pool.ts";

const drainLimit = 30_000;
const transactionTries = 4;
/** Statements with more values are sent as text: each of their lengths would be a prepared statement of its own. */
const preparedValues = 40;

class ConnectionSession implements DatabaseSession {
  readonly #connection: PoolConnection;

  constructor(connection: PoolConnection) {
    this.#connection = connection;
  }

  async query(sql: string, values: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return (await this.#send(sql, values)) as unknown as readonly Row[];
  }

  async execute(sql: string, values: readonly SqlValue[] = []): Promise<{ affectedRows: number; insertId: number }> {
    const { affectedRows, insertId } = (await this.#send(sql, values)) as ResultSetHeader;
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
 * Failures are StoreUnavailable (StatementRefused for a defect) and DuplicateEntry; none of them holds a value.
 */
export class MySqlDatabase implements Database {
  #options: DatabaseOptions;
  #credentials: DatabaseCredentials;
  #current: PoolGeneration;
  readonly #draining = new Set<Promise<void>>();
  #replacing: Promise<void> = Promise.resolve();

  private constructor(options: DatabaseOptions, credentials: DatabaseCredentials, pool: PoolGeneration) {
    this.#options = options;
    this.#credentials = credentials;
    this.#current = pool;
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
    return this.#current.lend((connection) => new ConnectionSession(connection).query(sql, values));
  }

  execute(sql: string, values?: readonly SqlValue[]): Promise<{ affectedRows: number; insertId: number }> {
    return this.#current.lend((connection) => new ConnectionSession(connection).execute(sql, values));
  }

  /**
   * Runs `work` in a transaction: committed when its promise is fulfilled, rolled back when it is rejected. After a deadlock or a
   * lock timeout it runs again, at most three times more, so it must have no effect outside of the database.
   */
  async transaction<T>(work: (session: DatabaseSession) => Promise<T>): Promise<T> {
    return this.#again((connection) => inTransaction(connection, work));
  }

  /** Repeated like `transaction`. The text is put together from the statements and their escaped values. */
  async together(changes: readonly Change[]): Promise<void> {
    await this.#again((connection) => inOneTrip(connection, changes));
  }

  async #again<T>(work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#current.lend(work);
      } catch (error) {
        if (!lostAgainstAnother(error) || attempt === transactionTries) throw error;
        await sleep(Math.random() * 10 * attempt);
      }
    }
  }

  async withLock<T>(
    name: string,
    seconds: number,
    work: (session: DatabaseSession) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#current.lend(async (connection) => {
      const session = new ConnectionSession(connection);
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
    await pool.lend(async (connection) => connection.query("SELECT 1"));
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
  work: (session: DatabaseSession) => Promise<T>,
): Promise<T> {
  await connection.query("START TRANSACTION");
  return orRollBack(connection, async () => {
    const result = await work(new ConnectionSession(connection));
    await connection.query("COMMIT");
    return result;
  });
}

/** The server stops at the first statement that fails, with the transaction open. */
async function inOneTrip(connection: PoolConnection, changes: readonly Change[]): Promise<void> {
  const texts = changes.map(({ sql, values }) => connection.format(sql, [...values]));
  await orRollBack(connection, async () => {
    await connection.query(["START TRANSACTION", ...texts, "COMMIT"].join(";\n"));
  });
}

async function orRollBack<T>(connection: PoolConnection, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = databaseError(thrown);
    // A connection that is in doubt is closed by the pool, which rolls back too.
    if (!(error instanceof StoreUnavailable)) await connection.query("ROLLBACK");
    throw error;
  }
}
