/** Why an account operation was refused. The API has a status for each. */
export type AccountFault =
  "invalid-credentials" | "rate-limited" | "not-found" | "exists" | "invalid" | "forbidden" | "last-admin";

/** A refused account operation. The message is for people and holds no password, session or key. */
export class AccountError extends Error {
  readonly fault: AccountFault;
  /** The field that was wrong, with `invalid` and `exists`. */
  readonly field: string | undefined;
  /** Seconds to wait, with `rate-limited`. */
  readonly retryAfter: number | undefined;

  constructor(
    fault: AccountFault,
    message: string,
    more: { readonly field?: string; readonly retryAfter?: number } = {},
  ) {
    super(message);
    this.name = "AccountError";
    this.fault = fault;
    this.field = more.field;
    this.retryAfter = more.retryAfter;
  }
}
