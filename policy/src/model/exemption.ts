/** One finding that somebody answers for, for a time. */
export interface Exemption {
  /** Name of the rule. */
  readonly rule: string;
  /** Name of the stack, or `*`. */
  readonly stack: string;
  /** The end of the resource's URN: its name, or `<type>::<name>`; `*` stands for any text. */
  readonly resource: string;
  /** Path below which it holds; absent: anywhere in the resource. */
  readonly path?: string;
  /** Who answers for it. */
  readonly owner: string;
  /** Why it may be so, and what protects instead. */
  readonly reason: string;
  /** The last day on which it holds, as `2026-01-31`. */
  readonly expires: string;
}

/** Where a finding is. */
export interface Place {
  readonly rule: string;
  readonly stack: string;
  readonly urn: string;
  readonly path: string;
}

/** The file of exemptions is wrong. */
export class ExemptionError extends Error {
  readonly code = "POLICY_EXEMPTIONS";

  constructor(problems: readonly string[]) {
    super(`the exemptions are wrong: ${problems.join("; ")}`);
    this.name = "ExemptionError";
  }
}

const required = ["rule", "stack", "resource", "owner", "reason", "expires"] as const;

/**
 * Reads the file of exemptions.
 * @param text JSON: a list
 * @param rules names of the rules there are
 * @throws ExemptionError with everything that is wrong in it
 */
export function parseExemptions(text: string, rules: readonly string[]): readonly Exemption[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new ExemptionError([`expected JSON, given ${(error as Error).message}`]);
  }
  if (!Array.isArray(list)) throw new ExemptionError(["expected a list"]);
  const problems = list.flatMap((entry, index) => [...problemsOf(entry, index, rules)]);
  if (problems.length > 0) throw new ExemptionError(problems);
  return list as Exemption[];
}

function* problemsOf(entry: unknown, index: number, rules: readonly string[]): Generator<string> {
  const fields: Readonly<Record<string, unknown>> = typeof entry === "object" && entry !== null ? { ...entry } : {};
  for (const key of required) {
    const value = fields[key];
    if (typeof value !== "string" || value.trim() === "") yield `[${index}].${key}: expected a text`;
  }
  for (const key of Object.keys(fields)) {
    if (key !== "path" && !(required as readonly string[]).includes(key)) yield `[${index}].${key}: not a field`;
  }
  const { path, rule, expires, reason } = fields;
  if (path !== undefined && typeof path !== "string") yield `[${index}].path: expected a text`;
  if (typeof rule === "string" && !rules.includes(rule)) yield `[${index}].rule: there is no rule ${rule}`;
  if (typeof expires === "string" && !isDay(expires)) {
    yield `[${index}].expires: expected a day like 2026-01-31, given ${expires}`;
  }
  if (typeof reason === "string" && reason.length < 20) yield `[${index}].reason: expected a full sentence`;
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** Whether an exemption's last day is over. */
export function isExpired({ expires }: Exemption, today: string): boolean {
  return expires < today;
}

/** The exemption that covers a place and isn't over; undefined where none does. */
export function exemptionFor(exemptions: readonly Exemption[], place: Place, today: string): Exemption | undefined {
  return exemptions.find((exemption) => !isExpired(exemption, today) && covers(exemption, place));
}

/** Whether an exemption is about a place, expired or not. */
export function covers({ rule, stack, resource, path }: Exemption, place: Place): boolean {
  if (rule !== place.rule || (stack !== "*" && stack !== place.stack)) return false;
  if (
    path !== undefined &&
    place.path !== path &&
    !place.path.startsWith(`${path}.`) &&
    !place.path.startsWith(`${path}[`)
  )
    return false;
  const [, , type = "", ...name] = place.urn.split("::");
  const own = type.split("$").at(-1) ?? "";
  return [name.join("::"), `${own}::${name.join("::")}`].some((text) => matches(resource, text));
}

function matches(pattern: string, text: string): boolean {
  const expression = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${expression.join(".*")}$`).test(text);
}
