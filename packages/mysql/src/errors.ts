/** A condition of a group, or of what was asked of it, that nothing can go on with. The message says what was expected, what was found and what to do. */
export class GroupError<Code extends string = GroupErrorCode> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "GroupError";
    this.code = code;
  }
}

export type GroupErrorCode = "SETTINGS" | "GTID_SYNTAX" | "SERVER_STATE" | "TIME_LIMIT" | "USAGE";

/** @returns what an unknown thrown thing says of itself; MySQL's messages name accounts and variables, never passwords */
export function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
