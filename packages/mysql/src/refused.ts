/** A rotation step that would end a password that is still in use, that doesn't fit what is in force, or that nobody could use. */
export class RotationRefused extends Error {
  readonly code: "GRACE_OPEN" | "STALE" | "OTHER_VALUE" | "UNUSABLE";

  constructor(code: RotationRefused["code"], message: string) {
    super(message);
    this.name = "RotationRefused";
    this.code = code;
  }
}
