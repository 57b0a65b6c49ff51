/** A condition that the user can put right. The message says what is wrong, what was expected and what to do. */
export class LabError extends Error {
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "LabError";
    this.code = code;
  }
}

export type LabErrorCode =
  | "NOT_LINUX"
  | "NOT_ROOT"
  | "NO_APT"
  | "NO_GO"
  | "TOO_LITTLE_MEMORY"
  | "TOO_LITTLE_DISK"
  | "PORT_TAKEN"
  | "NETWORK_TAKEN"
  | "OTHER_LAB"
  | "OTHER_CLUSTER"
  | "BUSY"
  | "BUILD_FAILED"
  | "COMMAND_FAILED"
  | "PART_FAILED"
  | "DEMO_FAILED"
  | "NOT_RUNNING"
  | "USAGE";
