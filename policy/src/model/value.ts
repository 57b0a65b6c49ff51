/**
 * What a plan doesn't know before the update. The first is this project's own; the others are what the SDK puts in place
 * of unknown values of each type (`@pulumi/policy` 1.21, `proxy.js`).
 */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const unknowns: ReadonlySet<unknown> = new Set([
  unknown,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** Tells whether a value is one that a plan doesn't know yet. */
export function isUnknown(value: unknown): boolean {
  return unknowns.has(value);
}

/** A value that a plan or a state marks as a secret. Packs get secrets unwrapped and never see it. */
export class SecretValue {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  /** Never shows the value. */
  toString(): string {
    return "[secret]";
  }
}
