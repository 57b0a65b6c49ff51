import { createPool } from "mysql2";
import type { Pool, PoolConnection } from "mysql2/promise";
import { StoreUnavailable } from "../core/errors.ts";
import { databaseError, unavailable } from "./errors.ts";

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
  #leased = 0;
  #open = 0;
  #draining: (() => void) | undefined;

  constructor(options: DatabaseOptions, credentials: DatabaseCredentials) {
    this.#acquireTimeout = options.acquireTimeout ?? 5000;
    const pool = createPool({
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
    pool.on("connection", (connection) => {
      this.#open += 1;
      connection.on("end", () => (this.#open -= 1));
      // The command goes out before the borrower's first one. A connection whose session isn't set up is not used.
      connection.query(session, (error) => {
        if (error !== null) connection.destroy();
      });
    });
    this.#pool = pool.promise();
  }

  /** Connections that are open, and those of them that work for somebody. */
  get counts(): { readonly open: number; readonly used: number } {
    return { open: Math.max(this.#open, this.#leased), used: this.#leased };
  }

  /**
   * Lends a connection to `work` until its promise settles.
   *
   * @throws StoreUnavailable if none is to be had in time
   */
  async lend<T>(work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    try {
      const result = await work(connection);
      connection.release();
      return result;
    } catch (thrown) {
      const error = databaseError(thrown);
      // After an outage, a timeout or a change of primary the state of the session is not known.
      if (error instanceof StoreUnavailable) connection.destroy();
      else connection.release();
      throw error;
    } finally {
      this.#returned();
    }
  }

  async #acquire(): Promise<PoolConnection> {
    this.#leased += 1;
    const wait = { over: false };
    let timer: NodeJS.Timeout | undefined;
    const pending = this.#pool.getConnection();
    try {
      return await Promise.race([
        pending,
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => {
            wait.over = true;
            reject(unavailable("POOL_ACQUIRE_TIMEOUT"));
          }, this.#acquireTimeout);
        }),
      ]);
    } catch (thrown) {
      if (wait.over) {
        pending.then(
          (connection) => {
            connection.release();
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
    await this.#pool.end();
  }
}
