/** A line of the report: what a rule found at one place of one stack. */
export interface Row {
  readonly stack: string;
  readonly rule: string;
  readonly urn: string;
  readonly path: string;
  readonly message: string;
  /** `unknown`: the rule couldn't look before the update. */
  readonly level: "mandatory" | "advisory" | "unknown";
}

/** Rows in order: what stops an update first, then by stack, rule and resource. */
export function sortedRows(rows: readonly Row[]): readonly Row[] {
  const rank = { mandatory: 0, advisory: 1, unknown: 2 };
  const key = ({ level, stack, rule, urn, path }: Row): string => [rank[level], stack, rule, urn, path].join(" ");
  return [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
