import { createPool, type Pool, type PoolConnection as Connection } from "mysql2";
import type { PoolConnection } from "mysql2/promise";
import { StoreUnavailable } from "../core/errors.ts";
import { databaseError, unavailable } from "./errors.ts";
import { isEndOfRole } from "./fate.ts";
import type { Attempt, PastOutage } from "./outage.ts";

/** Where the database is and how it is reached. Times are milliseconds. */
export interface DatabaseOptions {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Most connections of this process. */
  readonly poolSize: number;
  /** Certificate authority of the server, PEM. TLS 1.2 or newer and the server's name are always checked. */
  readonly ca: string | Buffer;
  /** Client certificate, PEM, where the server asks for one. */
  readonly client?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly connectTimeout?: number;
  /** Longest wait for a free connection. */
  readonly acquireTimeout?: number;
  /** Longest wait of work for a database that hands over to another primary. 5 s if undefined. */
  readonly handOverWait?: number;
  /** Is told when the database does reads or takes changes again after it didn't. */
  readonly onRecovery?: (work: "reads" | "changes", outage: PastOutage) => void;
}

/** A login of the database. */
export interface DatabaseCredentials {
  readonly user: string;
  readonly password: string;
}

const session = [
  "SET SESSION time_zone = '+00:00'",
  "SESSION transaction_isolation = 'READ-COMMITTED'",
  "SESSION innodb_lock_wait_timeout = 5",
  "SESSION max_execution_time = 10000",
  "SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,ONLY_FULL_GROUP_BY'",
].join(", ");

/** The connections that log in with one generation of the credentials. */
export class PoolGeneration {
  readonly #pool: Pool;
  readonly #acquireTimeout: number;
  readonly #open = new Set<Connection>();
  /** Those that were opened since a server last said that it isn't the one to ask. */
  readonly #trusted = new Set<Connection>();
  readonly #idle = new Set<Connection>();
  #leased = 0;
  #draining: (() => void) | undefined;

  constructor(options: DatabaseOptions, credentials: DatabaseCredentials) {
    this.#acquireTimeout = options.acquireTimeout ?? 5000;
    this.#pool = createPool({
      host: options.host,
      port: options.port,
      database: options.database,
      user: credentials.user,
      password: credentials.password,
      ssl: { ca: options.ca, ...options.client, minVersion: "TLSv1.2", rejectUnauthorized: true, verifyIdentity: true },
      connectTimeout: options.connectTimeout ?? 5000,
      connectionLimit: options.poolSize,
      // Idle connections stay: opening one costs a TLS handshake and a password hash on the server.
      maxIdle: options.poolSize,
      queueLimit: 10_000,
      enableKeepAlive: true,
      keepAliveInitialDelay: 10_000,
      maxPreparedStatements: 200,
      charset: "utf8mb4_0900_ai_ci",
      timezone: "Z",
      supportBigNumbers: true,
      // For a transaction in one trip; everything else is a prepared statement, which can't be more than one.
      multipleStatements: true,
      flags: ["-FOUND_ROWS", "-LOCAL_FILES"],
    });
    this.#pool.on("connection", (connection) => {
      this.#open.add(connection);
      this.#trusted.add(connection);
      connection.on("end", () => {
        this.#forget(connection);
      });
      connection.on("error", () => {
        this.#forget(connection);
      });
      // The command goes out before the borrower's first one. A connection whose session isn't set up is not used.
      connection.query(session, (error) => {
        if (error !== null) this.#close(connection);
      });
    });
  }

  /** Connections that are open, and those of them that work for somebody. */
  get counts(): { readonly open: number; readonly used: number } {
    return { open: Math.max(this.#open.size, this.#leased), used: this.#leased };
  }

  /**
   * Lends a connection to `work` until its promise settles. When the server turns out to be no longer the one to ask, this
   * connection and all that are as old are closed, so that the next one leads to where the address leads by then.
   *
   * @throws StoreUnavailable if none is to be had in time
   */
  async lend<T>(attempt: Attempt, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    attempt.phase = "connecting";
    const connection = await this.#acquire(Math.min(this.#acquireTimeout, attempt.longest ?? Infinity));
    attempt.phase = "working";
    try {
      const result = await work(connection.promise());
      this.#giveBack(connection);
      return result;
    } catch (thrown) {
      const error = databaseError(thrown);
      if (isEndOfRole(error)) this.#distrust(connection);
      // After an outage, a timeout or a change of primary the state of the session is not known.
      if (error instanceof StoreUnavailable) this.#close(connection);
      else this.#giveBack(connection);
      throw error;
    } finally {
      this.#returned();
    }
  }

  async #acquire(longest: number): Promise<Connection> {
    this.#leased += 1;
    const wait = { over: false };
    let timer: NodeJS.Timeout | undefined;
    const pending = this.#next();
    try {
      return await Promise.race([
        pending,
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => {
            wait.over = true;
            reject(unavailable("POOL_ACQUIRE_TIMEOUT"));
          }, longest);
        }),
      ]);
    } catch (thrown) {
      if (wait.over) {
        pending.then(
          (connection) => {
            this.#giveBack(connection);
          },
          // The borrower has been told already.
          () => undefined,
        );
      }
      this.#returned();
      const error = databaseError(thrown);
      // What has no code is the pool's own refusal: closed, or too many wait.
      throw error instanceof StoreUnavailable ? error : unavailable("POOL_REFUSED");
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next connection that can be trusted. */
  #next(): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const take = (): void => {
        this.#pool.getConnection((error, connection) => {
          if (error !== null) {
            reject(error);
            return;
          }
          this.#idle.delete(connection);
          if (this.#trusted.has(connection)) {
            resolve(connection);
            return;
          }
          this.#close(connection);
          take();
        });
      };
      take();
    });
  }

  #giveBack(connection: Connection): void {
    if (!this.#trusted.has(connection)) {
      this.#close(connection);
      return;
    }
    this.#idle.add(connection);
    connection.release();
  }

  /** Closes the idle connections that are as old as this one; those that work are closed when they come back. */
  #distrust(connection: Connection): void {
    // Somebody found it out before, and the newer ones are not to blame.
    if (!this.#trusted.has(connection)) return;
    this.#trusted.clear();
    for (const idle of [...this.#idle]) this.#close(idle);
  }

  #close(connection: Connection): void {
    this.#forget(connection);
    connection.destroy();
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection);
    this.#trusted.delete(connection);
    this.#idle.delete(connection);
  }

  #returned(): void {
    this.#leased -= 1;
    if (this.#leased === 0) this.#draining?.();
  }

  /** Waits until every lent connection is back, at most `limit` milliseconds, then closes all. */
  async drain(limit: number): Promise<void> {
    if (this.#leased > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#draining = resolve;
        timer = setTimeout(resolve, limit);
      });
      clearTimeout(timer);
    }
    await new Promise<void>((resolve, reject) => {
      this.#pool.end((error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}
