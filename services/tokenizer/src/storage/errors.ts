import { DuplicateEntry } from "../core/ports.ts";
import { StoreUnavailable } from "../core/errors.ts";

/** What went wrong on the way to the database: a class like `ECONNREFUSED` or `ER_LOCK_DEADLOCK`, without address, user, statement or value. */
export class DatabaseFault extends Error {
  readonly errorClass: string;

  constructor(errorClass: string) {
    super(errorClass);
    this.name = "DatabaseFault";
    this.errorClass = errorClass;
  }
}

/** The server refused a statement: a defect of the program or of the schema, which no repetition heals. */
export class StatementRefused extends StoreUnavailable {
  constructor(cause: DatabaseFault) {
    super(cause);
    this.name = "StatementRefused";
  }
}

/**
 * Refusals of a server that takes no changes (any more). A COMMIT that is refused so was rolled back: `super_read_only` is looked
 * at before it, and the hook `before_commit` runs before anything is sent to the group. Those of the group's consistency come where a
 * transaction begins.
 */
export const refusals = new Set([
  "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
  "ER_GR_HOLD_KILLED",
  "ER_GR_HOLD_MEMBER_STATUS_ERROR",
  "ER_GR_HOLD_WAIT_TIMEOUT",
  "ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN",
  "ER_GRP_TRX_CONSISTENCY_BEFORE",
  "ER_GRP_TRX_CONSISTENCY_BEGIN_NOT_ALLOWED",
  "ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED",
  "ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING",
  "ER_OPTION_PREVENTS_STATEMENT",
  "ER_READ_ONLY_MODE",
  "ER_RUN_HOOK_ERROR",
]);

/** Errors of the server that pass with time or with another primary. */
const passing = new Set([
  ...refusals,
  "ER_ACCESS_DENIED_ERROR",
  "ER_ACCOUNT_HAS_BEEN_LOCKED",
  "ER_BEFORE_DML_VALIDATION_ERROR",
  "ER_CLIENT_INTERACTION_TIMEOUT",
  "ER_CON_COUNT_ERROR",
  "ER_DBACCESS_DENIED_ERROR",
  "ER_DISK_FULL",
  "ER_LOCK_DEADLOCK",
  "ER_LOCK_WAIT_TIMEOUT",
  "ER_QUERY_INTERRUPTED",
  "ER_QUERY_TIMEOUT",
  "ER_SERVER_OFFLINE_MODE",
  "ER_SERVER_SHUTDOWN",
  "ER_SESSION_WAS_KILLED",
  "ER_TOO_MANY_USER_CONNECTIONS",
  "ER_TRANSACTION_ROLLBACK_DURING_COMMIT",
]);

/** Class of a command that was given to a connection after its end. */
export const closed = "CONNECTION_CLOSED";

/** The store isn't to be had for a reason of this class. */
export const unavailable = (errorClass: string): StoreUnavailable =>
  new StoreUnavailable(new DatabaseFault(errorClass));

/** The class of a StoreUnavailable's cause, for logs and readiness. */
export function errorClassOf(error: unknown): string {
  if (error instanceof StoreUnavailable) return errorClassOf(error.cause);
  if (error instanceof DatabaseFault) return error.errorClass;
  return error instanceof Error ? error.name : typeof error;
}

/**
 * Turns whatever the driver threw into StoreUnavailable, StatementRefused or DuplicateEntry. The driver's text is dropped, because
 * it may hold values. Errors of other parts of the program come back as they are.
 */
export function databaseError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof StoreUnavailable) return thrown;
  const { code, fatal, sqlMessage } = thrown as Error & Readonly<Record<"code" | "fatal" | "sqlMessage", unknown>>;
  // The driver's word for a command that came after the connection's end, and that it didn't send.
  if (code === undefined && fatal === true) return unavailable(closed);
  if (typeof code !== "string") return thrown;
  if (code === "ER_DUP_ENTRY") {
    const message = typeof sqlMessage === "string" ? sqlMessage : "";
    return new DuplicateEntry(/for key '(?:[^'.]*\.)?([A-Za-z0-9_]+)'$/.exec(message)?.[1] ?? "key");
  }
  if (code.startsWith("ER_") && !passing.has(code)) return new StatementRefused(new DatabaseFault(code));
  const driver = /^(ER_|PROTOCOL_|HANDSHAKE_|ERR_|CERT_|UNABLE_|SELF_SIGNED|DEPTH_ZERO|E[A-Z_]+$)/.test(code);
  return driver ? unavailable(code) : thrown;
}

/** Whether the whole transaction was rolled back in favour of another one, so that it may be repeated at once. */
export function lostAgainstAnother(error: unknown): boolean {
  return (
    error instanceof StoreUnavailable && ["ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT"].includes(errorClassOf(error))
  );
}
