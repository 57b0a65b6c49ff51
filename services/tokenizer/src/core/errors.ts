/** Why traffic was refused; the label `reason` of the metric tokenshield_refused_total. */
export type RefusalReason = "store" | "key" | "parse" | "size" | "coding" | "policy";

/**
 * Traffic that must not go on: nothing of it was forwarded. `status` is the HTTP status for the sender; the message is for
 * people and holds nothing of the traffic's content.
 */
export class Refusal extends Error {
  readonly reason: RefusalReason;
  readonly status: number;
  /** Seconds after which a repeat makes sense, for the header Retry-After. */
  readonly retryAfter: number | undefined;

  constructor(reason: RefusalReason, status: number, message: string, retryAfter?: number) {
    super(message);
    this.name = "Refusal";
    this.reason = reason;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The card store (MySQL) cannot be reached or answers with an error. Answered as 503; the cause stays inside. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super("the card store is not available", { cause });
    this.name = "StoreUnavailable";
  }
}

/**
 * The connection ended, or the server was stopped, after a change was sent and before it was acknowledged: it may be durable, and
 * may not. Whoever repeats it must be able to tell, or give the same result twice.
 */
export class CommitInDoubt extends StoreUnavailable {
  constructor(cause: unknown) {
    super(cause);
    this.name = "CommitInDoubt";
  }
}

/**
 * Does a change again, once, if it is in doubt whether it was made. Only for changes that may be made twice with the same result: a row
 * set to values that don't depend on what was there, a row deleted by its key.
 */
export async function evenTwice<T>(change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (!(error instanceof CommitInDoubt)) throw error;
    return change();
  }
}

/** The key service (Vault Transit) cannot be reached, refuses, or a key cannot be opened. Answered as 503. */
export class KeysUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "KeysUnavailable";
  }
}

/** A row's ciphertext does not open under its key, token and tenant: it was changed, or moved to another row. */
export class CiphertextRejected extends Error {
  constructor() {
    super("stored ciphertext does not belong to its token and tenant");
    this.name = "CiphertextRejected";
  }
}

/** A rotation of this type is running already. Answered as 409 ROTATION_IN_PROGRESS. */
export class RotationInProgress extends Error {
  readonly rotationId: string;

  constructor(rotationId: string) {
    super("a key rotation is running already");
    this.name = "RotationInProgress";
    this.rotationId = rotationId;
  }
}
