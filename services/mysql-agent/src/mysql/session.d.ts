import { AgentError } from "../errors.ts";
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
export declare class MySqlRefusal extends AgentError {
    /** MySQL's error number; 0 where the connection failed. */
    readonly errno: number;
    constructor(errno: number, symbol: string, message: string);
}
/** ER_ACCESS_DENIED_ERROR: the account or the password is wrong. */
export declare const accessDenied = 1045;
/** One session with a server, over verified TLS. */
export declare class Session {
    #private;
    private constructor();
    /** @throws MySqlRefusal if there is no connection, its certificate is not good, or the login is refused */
    static open(login: Login): Promise<Session>;
    /** The server's number of this session. */
    get id(): number;
    get isOpen(): boolean;
    /**
     * Runs one statement, its `?` replaced by escaped values.
     *
     * @param timeout milliseconds; when it is over, the session is closed and the statement may go on in the server
     * @throws MySqlRefusal
     */
    run(sql: string, values?: readonly Value[], timeout?: number): Promise<readonly Row[]>;
    /** Runs a statement that gives one row. */
    one(sql: string, values?: readonly Value[]): Promise<Row>;
    /** Drops the connection at once. */
    close(): void;
}
/** Runs `work` in a session of its own. */
export declare function withSession<Result>(login: Login, work: (session: Session) => Promise<Result>): Promise<Result>;
/** @returns the text in a column; MySQL's NULL is the empty text */
export declare function text(row: Row, column: string): string;
