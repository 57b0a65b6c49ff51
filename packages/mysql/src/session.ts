import { connect } from "node:net";
import { createConnection } from "mysql2/promise";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { GroupError } from "./errors.ts";

/** Where and as whom to log in. The password is read by the caller just before, and kept nowhere. */
export interface Login {
  readonly host: string;
  /** Where the server is reached, if not at `host`: the certificate must name `host` all the same. */
  readonly address?: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Authorities that the server's certificate must come from, PEM. Its names must fit `host`. */
  readonly ca: string;
  /** What the session is for; others see it in `performance_schema.session_connect_attrs`. */
  readonly program: string;
  /** Milliseconds; for the connection, and for a statement unless it says otherwise. */
  readonly timeout: number;
}

export type Row = Readonly<Record<string, unknown>>;
export type Value = string | number | null;

/** MySQL's refusal of a statement or a login. Says the error, and never the statement, which may hold a password. */
export class MySqlRefusal extends GroupError {
  /** MySQL's error number; 0 where the connection failed. */
  readonly errno: number;

  constructor(errno: number, symbol: string, message: string) {
    super("SERVER_STATE", `MySQL: ${symbol} (${errno}): ${message}`);
    this.name = "MySqlRefusal";
    this.errno = errno;
  }
}

/** A server that takes longer than this to greet is not there, in milliseconds. */
const longestConnect = 10_000;

/** ER_ACCESS_DENIED_ERROR: the account or the password is wrong. */
export const accessDenied = 1045;
/** ER_PARSE_ERROR; its message quotes the statement. */
const parseError = 1064;

function refusal(error: unknown): MySqlRefusal {
  if (!(error instanceof Error)) return new MySqlRefusal(0, "UNKNOWN", "an unknown failure");
  const { errno, code } = error as NodeJS.ErrnoException;
  const number = typeof errno === "number" && errno > 0 ? errno : 0;
  const message = number === parseError ? "the server does not understand the statement" : error.message;
  return new MySqlRefusal(number, code ?? "UNKNOWN", message);
}

/** One session with a server, over verified TLS. */
export class Session {
  readonly #connection: Connection;
  readonly #timeout: number;
  #open = true;

  private constructor(connection: Connection, timeout: number) {
    this.#connection = connection;
    this.#timeout = timeout;
    // A connection that breaks while no statement runs must not end the process; the next statement rejects.
    connection.on("error", () => {
      this.#open = false;
    });
  }

  /** @throws MySqlRefusal if there is no connection, its certificate is not good, or the login is refused */
  static async open(login: Login): Promise<Session> {
    try {
      const { address } = login;
      const connection = await createConnection({
        ...(address === undefined ? {} : { stream: () => connect({ host: address, port: login.port, noDelay: true }) }),
        host: login.host,
        port: login.port,
        user: login.user,
        password: login.password,
        ssl: { ca: login.ca, minVersion: "TLSv1.2", rejectUnauthorized: true, verifyIdentity: true },
        connectTimeout: Math.min(login.timeout, longestConnect),
        connectAttributes: { program_name: login.program },
        supportBigNumbers: true,
        bigNumberStrings: true,
        enableKeepAlive: true,
      });
      return new Session(connection, login.timeout);
    } catch (error) {
      throw refusal(error);
    }
  }

  /** The server's number of this session. */
  get id(): number {
    return this.#connection.threadId;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Runs one statement, its `?` replaced by escaped values.
   *
   * @param timeout milliseconds; when it is over, the session is closed and the statement may go on in the server
   * @throws MySqlRefusal
   */
  async run(sql: string, values: readonly Value[] = [], timeout = this.#timeout): Promise<readonly Row[]> {
    if (!this.#open) throw new MySqlRefusal(0, "CLOSED", "the session is closed");
    try {
      const [rows] = await this.#connection.query<RowDataPacket[]>({ sql, values: [...values], timeout });
      return Array.isArray(rows) ? rows : [];
    } catch (error) {
      if ((error as { fatal?: unknown }).fatal === true || isTimeout(error)) this.close();
      throw refusal(error);
    }
  }

  /** Runs a statement that gives one row. */
  async one(sql: string, values: readonly Value[] = []): Promise<Row> {
    const [row] = await this.run(sql, values);
    if (row === undefined) throw new GroupError("SERVER_STATE", "MySQL gave no row where one was expected");
    return row;
  }

  /** Drops the connection at once. */
  close(): void {
    this.#open = false;
    this.#connection.destroy();
  }
}

const isTimeout = (error: unknown): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === "PROTOCOL_SEQUENCE_TIMEOUT";

/** Runs `work` in a session of its own. */
export async function withSession<Result>(login: Login, work: (session: Session) => Promise<Result>): Promise<Result> {
  const session = await Session.open(login);
  try {
    return await work(session);
  } finally {
    session.close();
  }
}

/** @returns the text in a column; MySQL's NULL is the empty text */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint") return value.toString();
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  throw new GroupError("SERVER_STATE", `MySQL gave something unexpected in ${column}`);
}
