/** A resource of a plan or a state, as rules see it. */
export interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** Its inputs; unknown values and secrets are marked, see `value.ts`. */
  readonly props: Readonly<Record<string, unknown>>;
  /** URN of the parent; empty at the root. */
  readonly parent: string;
  /** URNs of what it takes values from or waits for. */
  readonly dependencies: readonly string[];
  readonly protect: boolean;
}

/** A whole stack, as rules see it. */
export interface Stack {
  readonly name: string;
  readonly resources: readonly Resource[];
  /**
   * What encrypts the stack's secrets, as its settings file says: `passphrase`, or a URL such as `awskms://…`;
   * undefined where nothing says it.
   */
  readonly secretsProvider: string | undefined;
}

/** The stack that a URN belongs to (`urn:pulumi:<stack>::<project>::…`). */
export function stackOf(urn: string): string {
  return urn.split("::")[0]?.replace("urn:pulumi:", "") ?? "";
}

/** The name that ends a URN. */
export function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}
