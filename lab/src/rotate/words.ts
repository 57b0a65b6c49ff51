import { parseArgs } from "node:util";
import { LabError } from "../errors.ts";

/** The rotation classes. */
export const classes = ["api", "bump", "database", "encryption", "jwt"] as const;

/** One of `classes`. */
export type ClassName = (typeof classes)[number];

export const help = `usage: npm run rotate -- CLASS… | --all          new values, by an update of the stack
       npm run rotate -- --status [--json] [CLASS…]
       npm run rotate -- --rollback CLASS
       npm run rotate -- --compromised CLASS
       npm run rotate -- --adopt CLASS…

Classes: ${classes.join(", ")}. The update ends when everybody uses the new values; the old ones stay valid until their
grace is over, which needs no further update. That of bump ends before: applications have to load the bundle first.

  --all                every class that rotates by itself
  --status             class, generation, phase, age, next due, end of the grace, who uses which generation
  --json               the status as JSON, one object a class
  --rollback CLASS     brings the value before back, while it is still valid; without an update
  --compromised CLASS  the value is known to others: rotates, and ends what is valid beside the new one at once. Who
                       doesn't use the new one by then is named, and refused until it does
  --adopt CLASS…       takes live values over that the stack's state, or the ledger in Vault, was lost of
  --dry-run            says what would be done, and changes nothing
  --why TEXT           the reason, for the history (3 to 200 characters)
  --stack NAME         the stack; default: lab, the embedded cluster
  --tenant NAME        the tenant; needed where the stack has several
  --yes                doesn't ask before the update (never asked on the lab)
  --help               this text

Exit status: 0 done, 1 not done, 2 wrong usage.
`;

/** What is asked of a stack's rotations. */
export interface Asked {
  readonly verb: "rotate" | "status" | "rollback" | "compromised" | "adopt";
  readonly classes: readonly ClassName[];
  readonly stack: string;
  /** Undefined for the only tenant that the stack has. */
  readonly tenant: string | undefined;
  /** What the history says. */
  readonly why: string;
  readonly effect: "real" | "dry run";
  readonly as: "table" | "json";
  /** Whether an update asks first. */
  readonly agreed: "asks" | "agreed";
}

/**
 * Reads a command line.
 * @param defaults the stack and the reason where none is named
 * @returns what is asked; undefined for the help
 * @throws LabError USAGE that says what was expected
 */
export function readWords(
  words: readonly string[],
  defaults: { readonly stack: string; readonly why: string },
): Asked | undefined {
  const { values, positionals } = parsed(words);
  if (values.help === true) return undefined;
  const { rollback, compromised, adopt } = values;
  const orders = Object.entries({ rollback, compromised, adopt }).filter(([, given]) => given !== undefined);
  if (orders.length + (values.status === true ? 1 : 0) > 1) {
    throw new LabError("USAGE", "expected one of --status, --rollback, --compromised and --adopt, given several");
  }
  const [order] = orders;
  const verb = (order?.[0] ?? (values.status === true ? "status" : "rotate")) as Asked["verb"];
  const named = [...(order?.[1] === undefined ? [] : [order[1]]), ...positionals].map(classNamed);
  const why = values.why ?? defaults.why;
  if (why.length < 3 || why.length > 200) {
    throw new LabError("USAGE", `--why: expected 3 to 200 characters, given ${why.length}`);
  }
  if (values.json === true && verb !== "status") throw new LabError("USAGE", "--json: only with --status");
  return {
    verb,
    classes: chosen(verb, named, values.all === true ? "all" : "named"),
    stack: values.stack ?? defaults.stack,
    tenant: values.tenant,
    why,
    effect: values["dry-run"] === true ? "dry run" : "real",
    as: values.json === true ? "json" : "table",
    agreed: values.yes === true ? "agreed" : "asks",
  };
}

function chosen(verb: Asked["verb"], named: readonly ClassName[], which: "all" | "named"): readonly ClassName[] {
  if (which === "all") {
    if (verb !== "rotate") throw new LabError("USAGE", `--all: not with --${verb}, which needs its classes by name`);
    if (named.length > 0) throw new LabError("USAGE", `--all: expected no class besides, given ${named.join(", ")}`);
    return classes.filter((name) => name !== "encryption");
  }
  if (verb === "rotate" && named.length === 0) {
    throw new LabError("USAGE", `expected the classes to rotate (${classes.join(", ")}) or --all; --help tells more`);
  }
  if ((verb === "rollback" || verb === "compromised") && named.length !== 1) {
    throw new LabError("USAGE", `--${verb}: expected one class, given ${named.join(", ")}`);
  }
  return [...new Set(named)];
}

function classNamed(name: string): ClassName {
  const found = classes.find((one) => one === name);
  if (found === undefined) throw new LabError("USAGE", `class ${name}: expected one of ${classes.join(", ")}`);
  return found;
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        all: { type: "boolean" },
        status: { type: "boolean" },
        json: { type: "boolean" },
        rollback: { type: "string" },
        compromised: { type: "string" },
        adopt: { type: "string" },
        "dry-run": { type: "boolean" },
        why: { type: "string" },
        stack: { type: "string", short: "s" },
        tenant: { type: "string" },
        yes: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new LabError("USAGE", `${error instanceof Error ? error.message : "wrong usage"}; --help tells more`);
  }
}
