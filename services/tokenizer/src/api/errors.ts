import { z } from "zod";
import { AccountError, type AccountFault, PasswordsBusy } from "../accounts/index.ts";
import { KeysUnavailable, RotationInProgress, StoreUnavailable } from "../core/errors.ts";
import { DuplicateEntry } from "../core/ports.ts";
import { StatementRefused } from "../storage/index.ts";

/** The codes of the API document's schema Error. */
export type ErrorCode =
  | "BAD_REQUEST"
  | "VALIDATION_FAILED"
  | "AUTHENTICATION_REQUIRED"
  | "INVALID_CREDENTIALS"
  | "SESSION_EXPIRED"
  | "FORBIDDEN"
  | "PASSWORD_CHANGE_REQUIRED"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONFLICT"
  | "ROTATION_IN_PROGRESS"
  | "PAYLOAD_TOO_LARGE"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "RATE_LIMITED"
  | "KEYS_NOT_ENABLED"
  | "INTERNAL"
  | "SERVICE_UNAVAILABLE";

/** A field that was wrong. The message never holds the value. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

interface More {
  /** What to do about it. */
  readonly details?: string;
  readonly fields?: readonly FieldError[];
  /** Seconds, for 429 and 503. */
  readonly retryAfter?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Fields beside those of the schema Error. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/** An answer that is an error. Everything in it is shown to the caller. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: ErrorCode;
  readonly more: More;

  constructor(status: number, code: ErrorCode, message: string, more: More = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.more = more;
  }

  headers(): Readonly<Record<string, string>> {
    const { headers, retryAfter } = this.more;
    return { ...headers, ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }) };
  }

  body(now: Date, requestId: string): Readonly<Record<string, unknown>> {
    const { details, fields, retryAfter, body } = this.more;
    return {
      error: this.message,
      code: this.code,
      timestamp: now.toISOString(),
      ...(details === undefined ? {} : { details }),
      ...(fields === undefined ? {} : { validation_errors: fields }),
      ...(this.status === 429 && retryAfter !== undefined ? { retry_after: inWords(retryAfter) } : {}),
      request_id: requestId,
      ...body,
    };
  }
}

/** "15 minutes", "40 seconds". */
function inWords(seconds: number): string {
  const [count, unit] = seconds < 60 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** 400 for one field. */
export const invalid = (field: string, message: string): ApiError =>
  new ApiError(400, "VALIDATION_FAILED", `${field}: ${message}`, { fields: [{ field, message }] });

export const notFound = (what: string): ApiError => new ApiError(404, "NOT_FOUND", `No such ${what}`);

export const unavailable = (what: string, retryAfter = 5): ApiError =>
  new ApiError(503, "SERVICE_UNAVAILABLE", what, { details: "Nothing was changed; try again later", retryAfter });

const accountAnswers: Readonly<Record<AccountFault, readonly [number, ErrorCode]>> = {
  "invalid-credentials": [401, "INVALID_CREDENTIALS"],
  "rate-limited": [429, "RATE_LIMITED"],
  "not-found": [404, "NOT_FOUND"],
  exists: [409, "CONFLICT"],
  invalid: [400, "VALIDATION_FAILED"],
  forbidden: [403, "FORBIDDEN"],
  "last-admin": [409, "CONFLICT"],
};

function accountAnswer(error: AccountError): ApiError {
  const [status, code] = accountAnswers[error.fault];
  if (error.fault === "invalid" && error.field !== undefined) return invalid(error.field, error.message);
  return new ApiError(
    status,
    code,
    error.message,
    error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter },
  );
}

/** Fastify's own refusals, by their code. Its texts are not shown: some quote the body. */
const frameworkAnswers: Readonly<Record<string, readonly [number, ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [413, "PAYLOAD_TOO_LARGE", "The body is too large"],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json"],
};

/** The answer for whatever was thrown; undefined for a defect, which is logged and answered with 500. */
export function answerFor(thrown: unknown): ApiError | undefined {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof AccountError) return accountAnswer(thrown);
  if (thrown instanceof StatementRefused) return undefined;
  if (thrown instanceof StoreUnavailable) return unavailable("The database is not available");
  if (thrown instanceof KeysUnavailable) return unavailable("The key service is not available");
  if (thrown instanceof PasswordsBusy) return unavailable("Too many logins at the same time", 1);
  if (thrown instanceof RotationInProgress)
    return new ApiError(409, "ROTATION_IN_PROGRESS", "A key rotation is running already");
  if (thrown instanceof DuplicateEntry) return new ApiError(409, "CONFLICT", "It exists already");
  if (thrown instanceof z.ZodError) {
    const fields = thrown.issues.map(({ path, message }) => ({ field: path.map(String).join("."), message }));
    const [first] = fields;
    return new ApiError(
      400,
      "VALIDATION_FAILED",
      first === undefined ? "The request is not valid" : `${first.field || "body"}: ${first.message}`,
      { fields },
    );
  }
  const { code, statusCode } = thrown as { readonly code?: unknown; readonly statusCode?: unknown };
  if (typeof code !== "string" || !code.startsWith("FST_")) return undefined;
  const [status, word, text] = frameworkAnswers[code] ?? [400, "BAD_REQUEST" as const, "The request is malformed"];
  return typeof statusCode === "number" && statusCode < 500 ? new ApiError(status, word, text) : undefined;
}
