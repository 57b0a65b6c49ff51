/**
 * The seams between the parts of the tokenizer. The management API (`src/api`, `src/accounts`, `src/storage`) and the data
 * plane (`src/cards`, `src/keys`, `src/http`, `src/icap`, `src/secrets`) know each other by these interfaces alone.
 */
import type { InUse } from "@tokenshield/rotation";
import type { Pan } from "./pan.ts";

// ---------------------------------------------------------------------------------------------------- storage offers

export type SqlValue = string | number | bigint | boolean | Date | Buffer | null;

/** One row as mysql2 gives it: DATETIME as Date (UTC), BIGINT as number, binary columns as Buffer. */
export type Row = Readonly<Record<string, unknown>>;

/** One session of the database: the statements run on one connection, in order. */
export interface DatabaseSession {
  /** Rows of a SELECT. `?` placeholders; lists of rows for a multi-row INSERT go in as flattened placeholders. */
  query(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** Outcome of a change. `affectedRows` counts rows found by UPDATE only if they changed. */
  execute(
    sql: string,
    values?: readonly SqlValue[],
  ): Promise<{ readonly affectedRows: number; readonly insertId: number }>;
}

/** One statement and its values, as `DatabaseSession.execute` takes them. */
export interface Change {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/**
 * The pool. Each method takes a connection and gives it back. Every failure of the connection or of the server rejects with
 * StoreUnavailable; a violated unique index rejects with DuplicateEntry, a deadlock or lock timeout (both rolled back whole)
 * is repeated by `transaction` a bounded number of times. While the primary changes, `query` (reads only), `execute`, `transaction`
 * and `together` wait for the next one, for a bounded time; a change that may be durable or not rejects with CommitInDoubt.
 */
export interface Database extends DatabaseSession {
  transaction<T>(work: (session: DatabaseSession) => Promise<T>): Promise<T>;
  /** The same without waiting: for callers that want to know how the database is now, or whose work must not go on later. */
  readonly atOnce: Pick<DatabaseSession, "query"> & Pick<Database, "transaction">;
  /** A transaction of changes that need no answer of each other: all of them, or none, in one trip to the server. */
  together(changes: readonly Change[]): Promise<void>;
  /**
   * Runs `work` while this session holds the named lock (GET_LOCK) on a connection of its own.
   * @returns undefined without running `work` if the lock isn't had within `seconds`
   */
  withLock<T>(name: string, seconds: number, work: (session: DatabaseSession) => Promise<T>): Promise<T | undefined>;
}

/** A unique index refused a row; `index` is the index's name, never a value. Thrown by DatabaseSession. */
export class DuplicateEntry extends Error {
  readonly index: string;

  constructor(index: string) {
    super(`a row with the same ${index} exists`);
    this.name = "DuplicateEntry";
    this.index = index;
  }
}

/** One event of the append-only audit log. Holds no PAN, no secret, no password. */
export interface AuditEvent {
  readonly action: string;
  /** user_id, API key's public part, certificate subject, or "system". */
  readonly actor: string;
  readonly sourceIp: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly result: "success" | "denied" | "failure";
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** The hash-chained audit log. */
export interface Audit {
  /** Resolves once the events are durable, in this order; rejects with StoreUnavailable and then none of them is. */
  append(events: readonly AuditEvent[]): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------- cards

export type TokenFormat = "prefix" | "luhn";
export type Source = "http" | "icap" | "api" | "import";

/** Who asks, for the activity and audit rows. */
export interface Caller {
  readonly source: Source;
  /** user_id, API key's public part, certificate subject; "" when the plane knows none. */
  readonly actor: string;
  /** Address of the client behind trusted proxies; "" if unknown. */
  readonly sourceIp: string;
  /** Host and path without query; "" if none. */
  readonly destination: string;
}

export interface NewCard {
  readonly pan: Pan;
  readonly cardHolder?: string;
  readonly expiryMonth?: number;
  /** Four digits. */
  readonly expiryYear?: number;
  readonly externalId?: string;
  /** JSON as text. */
  readonly metadata?: string;
}

export interface TokenizeOptions {
  /** Default: the setting TOKEN_FORMAT. */
  readonly format?: TokenFormat;
  /** Give the newest active token of the same card instead of a new one. Default: the tenant's setting. */
  readonly reuse?: "never" | "active";
  /** What to do when reuse finds a token: leave its row, or replace expiry, holder, external id and metadata. Default leave. */
  readonly existing?: "leave" | "overwrite";
}

export interface TokenizedCard {
  readonly token: string;
  readonly status: "created" | "existing";
  readonly cardType: string;
  readonly lastFour: string;
}

/** Facts of a stored token, without the PAN. */
export interface TokenFacts {
  readonly token: string;
  readonly cardType: string;
  readonly lastFour: string;
  readonly firstSix: string;
  readonly isActive: boolean;
  readonly createdAt: Date;
  readonly externalId?: string;
}

export interface RevealedCard {
  readonly pan: Pan;
  readonly cardType: string;
  readonly lastFour: string;
  readonly expiryMonth: number | null;
  readonly expiryYear: number | null;
}

/** All given filters must match. Case of cardType is ignored; "American Express" finds Amex. */
export interface TokenFilter {
  readonly lastFour?: string;
  readonly cardType?: string;
  readonly isActive?: boolean;
  readonly from?: Date;
  readonly to?: Date;
  readonly externalId?: string;
}

export interface Page {
  readonly limit: number;
  readonly offset: number;
}

/** The card store. Every method rejects with StoreUnavailable or KeysUnavailable when it cannot know the truth. */
export interface Cards {
  /**
   * Stores all of `cards` in one transaction, with one activity row (type `tokenize`, or `import` for source import) each,
   * and resolves when they are durable. Result n belongs to card n. Nothing is stored when it rejects.
   */
  tokenize(cards: readonly NewCard[], caller: Caller, options?: TokenizeOptions): Promise<readonly TokenizedCard[]>;
  /**
   * The PANs of active, unexpired tokens; undefined at the place of an unknown, revoked or expired one. One activity row
   * (type `detokenize`) and one audit event each are durable before it resolves. `purpose` is kept in the audit event.
   * The caller's right to reveal is checked before, not here.
   */
  reveal(tokens: readonly string[], caller: Caller, purpose: string): Promise<readonly (RevealedCard | undefined)[]>;
  /** Newest first, equal times by id; `total` counts all matches. */
  search(filter: TokenFilter, page: Page): Promise<{ readonly tokens: readonly TokenFacts[]; readonly total: number }>;
  get(token: string): Promise<TokenFacts | undefined>;
  /** @returns false if there is no such token; true also when it was revoked before. Leaves an activity row (`revoke`). */
  revoke(token: string, caller: Caller): Promise<boolean>;
  /** The newest active token of each card, undefined where there is none. For the import's duplicate handling. */
  find(pans: readonly Pan[]): Promise<readonly (TokenFacts | undefined)[]>;
  countActive(): Promise<number>;
}

// ---------------------------------------------------------------------------------------------------- keys

export type KeyType = "KEK" | "DEK";
export type KeyState = "active" | "rotating" | "retired" | "compromised";

export interface KeyFacts {
  readonly keyId: string;
  readonly keyType: KeyType;
  readonly version: number;
  readonly status: KeyState;
  readonly createdAt: Date;
  readonly activatedAt?: Date;
  readonly retiredAt?: Date;
  /** For DEKs: rows encrypted under it. */
  readonly cardsEncrypted?: number;
  /** For DEKs: the KEK version that wraps it. */
  readonly kekVersion?: number;
  /** For KEKs: data keys that it wraps. */
  readonly wrappedDeks?: number;
  /** For KEKs: kind of key service. */
  readonly provider?: string;
}

export interface RotationFacts {
  readonly rotationId: string;
  readonly keyType: KeyType | "both";
  readonly status: "in_progress" | "completed" | "failed" | "cancelled";
  readonly startedAt: Date;
  readonly completedAt?: Date;
  readonly errorMessage?: string;
  readonly oldKeyId?: string;
  readonly newKeyId?: string;
  readonly cardsTotal?: number;
  readonly cardsRotated?: number;
  readonly deksRewrapped?: number;
  /** Where it stands; `requested`: the rotator has to make a new version of the KEK. */
  readonly phase: "requested" | "rewrapping" | "rewrapped" | "reencrypting" | "done";
  /** The KEK's version when a new one was asked for. */
  readonly kekBefore?: number;
  readonly initiatedBy: string;
}

export interface RotationRequest {
  readonly keyType: KeyType | "both";
  readonly reencrypt: "no" | "background";
  readonly mode: "rotate" | "dry-run";
  readonly initiatedBy: string;
}

export interface RotationOutcome {
  readonly rotationId: string;
  /** pending: recorded, the rotator has not finished within the time given. */
  readonly status: "completed" | "pending" | "failed";
  readonly rotatedKeys: readonly KeyType[];
  readonly newKeys: readonly KeyFacts[];
  readonly deksRewrapped: number;
  readonly reencryption: "none" | "running";
  readonly errors: readonly string[];
}

export interface Keys {
  /** The active KEK and DEK. Rejects with KeysUnavailable if they aren't loaded. */
  status(): Promise<{ readonly kek: KeyFacts; readonly dek: KeyFacts }>;
  list(
    filter: { readonly keyType?: KeyType; readonly status?: KeyState },
    page: Page,
  ): Promise<{ readonly keys: readonly KeyFacts[]; readonly total: number }>;
  /** Newest first. */
  rotations(limit: number): Promise<{ readonly rotations: readonly RotationFacts[]; readonly total: number }>;
  /**
   * Records the request and, for a DEK, carries it out; for a KEK waits until the rotator has made a new version and every
   * data key is wrapped by it, at most `waitMilliseconds`. Rejects with RotationInProgress, StoreUnavailable, KeysUnavailable.
   */
  requestRotation(request: RotationRequest, waitMilliseconds: number): Promise<RotationOutcome>;
  /** Asks the key service for a sign of life, for /health/ready. Rejects with KeysUnavailable. */
  probe(): Promise<void>;
  /** True once the active data keys are in memory. */
  loaded(): boolean;
  /** What this process encrypts with; no key, wrapped or not. */
  inUse(): readonly InUse[];
}

// ---------------------------------------------------------------------------------------------------- secrets

/** Digests only, never a value (contract of the watcher's events). */
export interface SecretBatch {
  /** Grows by one with each batch. */
  readonly version: number;
  readonly changed: readonly string[];
  readonly deleted: readonly string[];
  /** Those of `changed` that are on the list of critical files. */
  readonly critical: readonly string[];
}

export interface SecretFiles {
  /** The value without one trailing newline; undefined if there is no such file. Served from memory. */
  read(name: string): string | undefined;
  /** Runs `listener` after each batch; a listener's failure is logged with its name. @returns the way to stop */
  onChange(name: string, listener: (batch: SecretBatch) => void | Promise<void>): () => void;
}

// ---------------------------------------------------------------------------------------------------- telemetry

export type Plane = "http" | "icap" | "api";
export type Outcome = "ok" | "unchanged" | "refused" | "error";

/** What the data plane tells the metrics (names and labels in the API contract, x-metrics). */
export interface Meters {
  request(plane: Plane, operation: string, outcome: Outcome, seconds: number): void;
  /** Attempts to tokenize, failed ones too. */
  tokenizations(source: Source, attempts: number): void;
  tokenizationsFailed(source: Source, attempts: number): void;
  tokensCreated(source: Source, format: TokenFormat, count: number): void;
  tokensRevealed(source: Source, outcome: "ok" | "unavailable", count: number): void;
  refused(reason: "store" | "key" | "parse" | "size" | "coding" | "policy"): void;
  icapConnections(open: number): void;
  dekUses(count: number): void;
  dependency(name: "database" | "key_service", state: "up" | "down"): void;
  keyAge(type: KeyType, seconds: number): void;
  keyRotation(type: KeyType, result: "completed" | "failed"): void;
}

/** One step of a trace. Its names come from closed lists; nothing of what was sent is in it. */
export interface Span {
  /** Header of calls that belong to this step. */
  readonly traceparent: string;
  /** Begins a step within this one. */
  step(name: string): Span;
  /** @param name a better name than the one that it was begun with */
  end(outcome: Outcome, name?: string): void;
}

/** Traces of requests (W3C Trace Context). */
export interface Tracing {
  /** Begins the span of a request, as a step of the trace that its header names if that is well formed. */
  begin(name: string, traceparent: string | undefined, tracestate: string | undefined): Span;
}

/** The subset of pino that the parts use. Fields hold no PAN, no token, no header value, no secret. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
