/** A rotation step that would end a password that is still in use, or that doesn't fit what is in force. */
export class RotationRefused extends Error {
  readonly code: "GRACE_OPEN" | "STALE" | "OTHER_VALUE";

  constructor(code: "GRACE_OPEN" | "STALE" | "OTHER_VALUE", message: string) {
    super(message);
    this.name = "RotationRefused";
    this.code = code;
  }
}
