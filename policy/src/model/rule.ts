import { type PodTemplate, podTemplateOf, templateKinds } from "./pod-template.ts";
import type { StackView } from "./stack-view.ts";
import type { View } from "./view.ts";

/** What a rule does unless the stack's policy settings say otherwise. */
export type Level = "advisory" | "mandatory" | "remediate";

/** How bad what a rule finds is. */
export type Severity = "low" | "medium" | "high" | "critical";

/** A setting of a rule, in JSON Schema; every setting has a default. */
export interface RuleSetting {
  readonly type: "number" | "array" | "boolean" | "string";
  readonly items?: { readonly type: "string" };
  readonly description: string;
  readonly default: number | boolean | string | string[];
}

/** The settings of a rule by name. */
export type RuleSettings = Readonly<Record<string, RuleSetting>>;

/** The values of a rule's settings. */
export type Configured = Readonly<Record<string, unknown>>;

/** Reports that what is at a place breaks the rule. The message goes on after the path: `must be true`. */
export type Report = (at: View, message: string) => void;

/** What every rule says of itself. */
export interface RuleFacts {
  /** What holds where the rule does: `pods-run-as-non-root`. */
  readonly name: string;
  readonly level: Level;
  readonly severity: Severity;
  /** Numbers of requirements of PCI DSS 4.0.1; empty for a rule of good operation alone. */
  readonly pci: readonly string[];
  /** Numbers of recommendations of the CIS Kubernetes Benchmark 1.8 or, where it is said, another CIS benchmark. */
  readonly cis?: readonly string[];
  /** A full sentence with "must". */
  readonly description: string;
  /** What to do about a finding. */
  readonly remediation: string;
  readonly settings?: RuleSettings;
}

/** A rule that looks at one resource at a time. */
export interface ResourceRule extends RuleFacts {
  readonly scope: "resource";
  /** The types that it looks at. */
  readonly types: readonly string[];
  readonly check: (resource: View, report: Report, config: Configured) => void;
  /** What the properties should be; undefined where nothing is to change. Only for rules of level `remediate`. */
  readonly remediate?: (props: Record<string, unknown>) => Record<string, unknown> | undefined;
}

/** A rule that looks at the stack as a whole. */
export interface StackRule extends RuleFacts {
  readonly scope: "stack";
  readonly check: (stack: StackView, report: Report, config: Configured) => void;
}

/** A rule. */
export type Rule = ResourceRule | StackRule;

/** Makes a rule that looks at one resource at a time. */
export function resourceRule(rule: Omit<ResourceRule, "scope">): ResourceRule {
  return { ...rule, scope: "resource" };
}

/** Makes a rule that looks at the pod template of every kind that has one. */
export function podRule(
  rule: Omit<ResourceRule, "scope" | "types" | "check"> & {
    /** The kinds that it looks at; all of them by default. */
    readonly types?: readonly string[];
    readonly check: (pod: PodTemplate, report: Report, config: Configured) => void;
  },
): ResourceRule {
  return {
    ...rule,
    scope: "resource",
    types: rule.types ?? templateKinds,
    check: (resource, report, config) => {
      const pod = podTemplateOf(resource);
      if (pod !== undefined) rule.check(pod, report, config);
    },
  };
}

/** Makes a rule that looks at the stack as a whole. */
export function stackRule(rule: Omit<StackRule, "scope">): StackRule {
  return { ...rule, scope: "stack" };
}

/** A rule's setting that is a number. */
export function numberOf(config: Configured, key: string): number {
  const value = config[key];
  if (typeof value !== "number") throw new TypeError(`policy setting ${key}: expected a number, given ${typeof value}`);
  return value;
}

/** A rule's setting that is a list of texts. */
export function textsOf(config: Configured, key: string): readonly string[] {
  const value = config[key];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
    throw new TypeError(`policy setting ${key}: expected a list of texts, given ${typeof value}`);
  }
  return value;
}
