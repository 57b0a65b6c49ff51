/**
 * Why a step was not done. Says paths, classes and names, never a value.
 *
 * | Code | What it is |
 * |---|---|
 * | `SETTINGS` | the plan or the environment is not as expected |
 * | `BUSY` | another run works on the class |
 * | `SUPERSEDED` | another run took the class over; this one has stopped |
 * | `STORE` | Vault can't be reached, is sealed or refuses |
 * | `CONFLICT` | a document was changed by somebody else meanwhile |
 * | `NOT_STAGED` | the value of the generation to begin is not there |
 * | `OUT_OF_ORDER` | the generation to begin doesn't follow the ledger |
 * | `VALUE_LOST` | no copy of a value with the ledger's digest is to be had |
 * | `OTHER_VALUE` | the database has another password under the generation, or can't use it |
 * | `STALE` | the database has a newer generation than the ledger |
 * | `DATABASE` | the database can't be reached or refuses |
 * | `KEYS` | the tokenizer can't be reached, refuses, or its keys don't open |
 * | `NOT_CONVERGED` | consumers don't use the new value yet |
 * | `STILL_ACCEPTED` | the old value still opens something |
 * | `TIME_LIMIT` | the step's time is over |
 */
export type StepCode =
  | "SETTINGS"
  | "BUSY"
  | "SUPERSEDED"
  | "STORE"
  | "CONFLICT"
  | "NOT_STAGED"
  | "OUT_OF_ORDER"
  | "VALUE_LOST"
  | "OTHER_VALUE"
  | "STALE"
  | "DATABASE"
  | "KEYS"
  | "NOT_CONVERGED"
  | "STILL_ACCEPTED"
  | "TIME_LIMIT";

/** A step, or a run, that did not reach its end. */
export class RotatorError extends Error {
  readonly code: StepCode;

  constructor(code: StepCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RotatorError";
    this.code = code;
  }
}

/** Codes that another attempt does not mend. */
const lasting: ReadonlySet<StepCode> = new Set([
  "SETTINGS",
  "SUPERSEDED",
  "NOT_STAGED",
  "OUT_OF_ORDER",
  "VALUE_LOST",
  "OTHER_VALUE",
  "STALE",
]);

/** Codes after which a value that nobody can use yet is taken back, so that the class isn't held up by it. */
const compensated: ReadonlySet<StepCode> = new Set(["VALUE_LOST", "OTHER_VALUE"]);

/** Whether another attempt may help. */
export function mayHelp(error: unknown): boolean {
  return !(error instanceof RotatorError && lasting.has(error.code));
}

/** Whether the generation is to be taken back rather than kept for the next run. */
export function takesBack(error: unknown): boolean {
  return error instanceof RotatorError && compensated.has(error.code);
}

/** The class of any failure, for ledgers, audit records and metrics. */
export function codeOf(error: unknown): string {
  if (error instanceof RotatorError) return error.code;
  return error instanceof Error ? error.name : typeof error;
}
