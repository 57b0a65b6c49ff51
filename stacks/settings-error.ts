import { RunError } from "@pulumi/pulumi";
import type { z } from "zod";

/** One thing that is wrong in a stack's settings. */
export interface SettingsProblem {
  /** Where, in the words of the settings file: `tenants[0].spec.database.size`. */
  readonly path: string;
  /** What the setting must be. */
  readonly expected: string;
  /** What was given, shortened; `nothing` where the setting is missing. */
  readonly given: string;
}

/** Thrown once with everything that is wrong in a stack's settings, sorted by path. The engine prints it without a stack. */
export class SettingsError extends RunError {
  readonly code = "TOKENSHIELD_SETTINGS";
  readonly problems: readonly SettingsProblem[];

  constructor(problems: readonly SettingsProblem[]) {
    const sorted = [...problems].sort((a, b) => a.path.localeCompare(b.path) || a.expected.localeCompare(b.expected));
    const lines = sorted.map(({ path, expected, given }) => `  ${path}: expected ${expected}, given ${given}`);
    super(`${sorted.length} setting${sorted.length === 1 ? " is" : "s are"} wrong:\n${lines.join("\n")}`);
    this.name = "SettingsError";
    this.problems = sorted;
  }
}

/** Writes a path as it is written in a settings file: names by dots, places in lists by brackets. */
export function settingsPath(parts: readonly PropertyKey[]): string {
  const text = parts.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return text.startsWith(".") ? text.slice(1) : text;
}

const longest = 60;

/** Shows what was given: scalars shortened and without long digit runs, the rest by kind only. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return `an object with ${Object.keys(value).join(", ") || "no fields"}`;
  const text = JSON.stringify(value).replace(/\d{12,}/g, (digits) => "*".repeat(digits.length));
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** What stands at a path of the raw settings. */
export function valueAt(settings: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[part] : undefined,
    settings,
  );
}

type Issue = z.core.$ZodIssue;

function expectation(issue: Issue): string {
  // A rule with words of its own says more than its kind.
  if (!/^(Invalid|Too|Unrecognized)\b/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return article(issue.expected);
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(" or ");
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `at least ${issue.minimum.toString()}`
        : `at least ${issue.minimum.toString()} ${issue.origin === "string" ? "characters" : "items"}`;
    case "too_big":
      return issue.origin === "number" || issue.origin === "int"
        ? `at most ${issue.maximum.toString()}`
        : `at most ${issue.maximum.toString()} ${issue.origin === "string" ? "characters" : "items"}`;
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "custom":
    case "invalid_format":
    case "invalid_element":
    case "invalid_key":
    case "invalid_union":
    case "unrecognized_keys":
      return issue.message;
  }
}

function article(type: string): string {
  if (type === "record" || type === "object") return "an object";
  if (type === "array") return "a list";
  if (type === "int") return "a whole number";
  return `a ${type}`;
}

/** Turns what zod found into problems. `settings` are the raw settings, from which the given values are shown. */
export function problemsOf(issues: readonly Issue[], settings: unknown): SettingsProblem[] {
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: settingsPath([...issue.path, key]),
        expected: "no such setting (a typing error, or a setting that this platform doesn't have)",
        given: kindOf(valueAt(settings, [...issue.path, key])),
      }));
    }
    const given = valueAt(settings, issue.path);
    // A text where an object belongs may be a secret in the wrong place.
    const misplaced = issue.code === "invalid_type" && typeof given === "string";
    return [
      {
        path: settingsPath(issue.path),
        expected: expectation(issue),
        given: misplaced ? kindOf(given) : shown(given),
      },
    ];
  });
}

/** An unknown setting may be a secret in the wrong place: only its kind is shown. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : article(typeof value);
}
