import { status } from "@grpc/grpc-js";

/** What went wrong, as upstream's metrics name it in the label `error_type`. */
export const errorTypes = [
  "SecretProviderClassNotFound",
  "ProviderError",
  "FailedToMount",
  "FailedToEnsureMountPoint",
  "FileWriteError",
] as const;

/** One of `errorTypes`. */
export type ErrorType = (typeof errorTypes)[number];

/**
 * A call that ends without success. Its message reaches the kubelet, an event of the pod and the log, so it never
 * carries a value, a token or what a file holds.
 */
export class CallError extends Error {
  /** gRPC status (CSI specification, "Error Scheme"). */
  readonly code: status;
  /** How metrics count it. */
  readonly type: ErrorType;

  constructor(code: status, type: ErrorType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CallError";
    this.code = code;
    this.type = type;
  }
}

/** @returns the refusal of a call whose arguments are wrong */
export const invalid = (message: string): CallError => new CallError(status.INVALID_ARGUMENT, "FailedToMount", message);

/** @returns any failure as a CallError; one that nobody foresaw is INTERNAL and tells its system code or name at most */
export function asCallError(failure: unknown, type: ErrorType, what: string): CallError {
  if (failure instanceof CallError) return failure;
  const name = failure instanceof Error ? failure.name : "unexpected";
  const told = failure instanceof Error && "code" in failure ? String(failure.code) : name;
  return new CallError(status.INTERNAL, type, `${what}: ${told}`, { cause: failure });
}
