import { type Exemption, exemptionFor } from "./exemption.ts";
import type { Resource, Stack } from "./resource.ts";
import { stackOf } from "./resource.ts";
import type { Configured, Report, Rule } from "./rule.ts";
import { StackView } from "./stack-view.ts";
import { View } from "./view.ts";

/** What a rule found at one place. */
export interface Finding {
  readonly rule: string;
  readonly urn: string;
  /** Path in the resource's properties; empty for the resource as a whole. */
  readonly path: string;
  /** `unknown`: the rule couldn't look, as the value is known only after the update. */
  readonly kind: "violation" | "unknown";
  /** What is wrong; goes on after the path. */
  readonly message: string;
  /** The exemption that covers it, a current one. */
  readonly exemption?: Exemption | undefined;
}

/** What findings depend on besides the plan. */
export interface Circumstances {
  readonly exemptions: readonly Exemption[];
  /** Today, as `2026-01-31`. */
  readonly today: string;
  /** The settings of the rules, by rule; what is absent is at its default. */
  readonly config?: Readonly<Record<string, Configured>>;
}

/** A rule's settings with their defaults. */
export function configured(rule: Rule, config: Circumstances["config"]): Configured {
  const defaults = Object.entries(rule.settings ?? {}).map(([key, setting]) => [key, setting.default] as const);
  return { ...Object.fromEntries(defaults), ...config?.[rule.name] };
}

/** What a rule finds in one resource; nothing in one of a type that it doesn't look at. */
export function checkResource(rule: Rule, resource: Resource, circumstances: Circumstances): readonly Finding[] {
  if (rule.scope !== "resource" || !rule.types.includes(resource.type)) return [];
  const found = new Findings(rule, circumstances);
  const view = new View(resource, "", resource.props, found.unknown);
  rule.check(view, found.report, configured(rule, circumstances.config));
  return found.list;
}

/** What a rule finds in a stack as a whole; nothing if it looks at one resource at a time. */
export function checkStack(rule: Rule, stack: Stack, circumstances: Circumstances): readonly Finding[] {
  if (rule.scope !== "stack") return [];
  const found = new Findings(rule, circumstances);
  rule.check(new StackView(stack, found.unknown), found.report, configured(rule, circumstances.config));
  return found.list;
}

/** What all rules find in a stack and its resources. */
export function evaluate(rules: readonly Rule[], stack: Stack, circumstances: Circumstances): readonly Finding[] {
  return rules.flatMap((rule) =>
    rule.scope === "stack"
      ? checkStack(rule, stack, circumstances)
      : stack.resources.flatMap((resource) => checkResource(rule, resource, circumstances)),
  );
}

/** Collects findings, one a place and message. */
class Findings {
  readonly #rule: Rule;
  readonly #circumstances: Circumstances;
  readonly #found = new Map<string, Finding>();

  constructor(rule: Rule, circumstances: Circumstances) {
    this.#rule = rule;
    this.#circumstances = circumstances;
  }

  readonly report: Report = (at, message) => {
    if (!at.isUnknown) this.#add(at, "violation", message);
  };

  readonly unknown = (at: View): void => {
    this.#add(at, "unknown", "is known only after the update, so the rule couldn't look at it");
  };

  #add(at: View, kind: Finding["kind"], message: string): void {
    const { urn } = at.resource;
    const { exemptions, today } = this.#circumstances;
    const place = { rule: this.#rule.name, stack: stackOf(urn), urn, path: at.path };
    const exemption = exemptionFor(exemptions, place, today);
    const finding = { rule: this.#rule.name, urn, path: at.path, kind, message };
    this.#found.set(`${urn} ${at.path} ${message}`, exemption === undefined ? finding : { ...finding, exemption });
  }

  get list(): readonly Finding[] {
    return [...this.#found.values()];
  }
}
