/**
 * Places where a number that looks like a card number is none (order numbers that pass Luhn), as JSON pointers (RFC 6901); a
 * segment `*` stands for any one key or index. Form fields, multipart names and XML paths are written the same way:
 * `/order_id`, `/order/id`.
 */
export class AllowRules {
  readonly #rules: readonly (readonly string[])[];

  /** @throws TypeError naming the rule that isn't a pointer */
  constructor(pointers: readonly string[]) {
    this.#rules = pointers.map((pointer) => {
      if (!pointer.startsWith("/"))
        throw new TypeError(`an allow rule is a JSON pointer that begins with /: ${pointer}`);
      return pointer.slice(1).split("/");
    });
  }

  get empty(): boolean {
    return this.#rules.length === 0;
  }

  /** @param pointer a JSON pointer, escaped as RFC 6901 says */
  allows(pointer: string): boolean {
    const segments = pointer.slice(1).split("/");
    return this.#rules.some(
      (rule) =>
        rule.length === segments.length &&
        rule.every((segment, index) => segment === "*" || segment === segments[index]),
    );
  }
}

export const noRules = new AllowRules([]);

/** A key as one segment of a JSON pointer. */
export function segment(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
