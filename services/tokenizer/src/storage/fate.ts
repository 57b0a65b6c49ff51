import { CommitInDoubt, StoreUnavailable } from "../core/errors.ts";
import { closed, errorClassOf, refusals } from "./errors.ts";

/** How far a try of some work has come: `committing` from when its COMMIT, or a change that commits by itself, may have been sent. */
export type Phase = "connecting" | "working" | "committing";

/** What is known of work that failed. */
export type Fate =
  /** Nothing of it is in the database, and another connection may well do it. */
  | "not done"
  /** It may be in the database, and may not. */
  | "in doubt"
  /** Another connection would say the same. */
  | "final";

/** Ends of a connection; a transaction that was open is rolled back. */
const ends = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
  "ER_CLIENT_INTERACTION_TIMEOUT",
  "ER_SERVER_OFFLINE_MODE",
  "ER_SERVER_SHUTDOWN",
  "ER_SESSION_WAS_KILLED",
  // A member that leaves its group says so of transactions that the group may have taken all the same.
  "ER_TRANSACTION_ROLLBACK_DURING_COMMIT",
  "ETIMEDOUT",
  "PROTOCOL_CONNECTION_LOST",
]);

/** Reasons for which there is no connection now and may be one soon. A refused login isn't one. */
const unreachable = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ER_CON_COUNT_ERROR",
  "HANDSHAKE_SSL_ERROR",
  "POOL_ACQUIRE_TIMEOUT",
]);

/** Decides what became of work that failed in a phase. */
export function fateOf(error: unknown, phase: Phase): Fate {
  if (!(error instanceof StoreUnavailable)) return "final";
  if (error instanceof CommitInDoubt) return "in doubt";
  const errorClass = errorClassOf(error);
  if (refusals.has(errorClass) || errorClass === closed) return "not done";
  if (ends.has(errorClass)) return phase === "committing" ? "in doubt" : "not done";
  return phase === "connecting" && unreachable.has(errorClass) ? "not done" : "final";
}

/** Whether the connection that said so, and others as old, may lead to a server that is no longer the one to ask. */
export const isEndOfRole = (error: unknown): boolean => fateOf(error, "working") !== "final";
