import assert from "node:assert/strict";
import { type Circumstances, evaluate, type Finding } from "../../policy/src/model/evaluate.ts";
import type { Stack } from "../../policy/src/model/resource.ts";
import type { Configured, Rule } from "../../policy/src/model/rule.ts";
import { policyOf } from "../../policy/src/policy.ts";
import { titles } from "../../policy/src/requirements.ts";
import type { Break } from "./support/break.ts";
import { breaksOf } from "./support/breaks.ts";
import { configCases } from "./support/config-cases.ts";
import { circumstances, reference, rules, today } from "./support/reference.ts";

/** Type and name of the resource of a finding. */
function placeOf({ urn }: Finding): string {
  const [, , type = "", ...name] = urn.split("::");
  return `${type.split("$").at(-1) ?? ""}::${name.join("::")}`;
}

function violations(rule: Rule, stack: Stack, given: Circumstances = circumstances): readonly Finding[] {
  return evaluate([rule], stack, given).filter(
    ({ kind, exemption }) => kind === "violation" && exemption === undefined,
  );
}

function isFinding(one: Break, finding: Finding): boolean {
  return placeOf(finding) === one.on && finding.path === one.at && one.says.test(finding.message);
}

/** An exemption of exactly what a break does. */
const exemption = ({ rule, on, at }: Break, expires: string, stack = "production") => ({
  ...{ rule, stack, resource: on, owner: "platform", reason: "It is what this test is about.", expires },
  ...(at === "" ? {} : { path: at }),
});
const withExemption = (...exemptions: Circumstances["exemptions"]): Circumstances => ({
  ...circumstances,
  exemptions: [...circumstances.exemptions, ...exemptions],
});

/** The tests of each rule; `exemptions-are-current` has its own in `exemptions.test.ts`. */
const suites = new Map<string, Mocha.Suite>();

for (const rule of rules.filter(({ name }) => name !== "exemptions-are-current")) {
  const own = breaksOf(rule.name);
  const [first] = own;

  const suite = describe(`the rule ${rule.name}`, () => {
    if (first === undefined) throw new Error(`no break of ${rule.name} is tried`);
    const kinds = new Map(own.map((one) => [one.on.slice(0, one.on.lastIndexOf("::")), one]));

    it("says what it asks, why and what to do, in words of its own", () => {
      assert.match(rule.name, /^[a-z]+(-[a-z0-9]+)+$/);
      assert.match(rule.description, /^[A-Z].*\bmust\b.*\.$/s);
      assert.match(rule.remediation, /^[A-Z].*\.$/s);
      assert.ok(rule.pci.length > 0);
      for (const number of rule.pci) assert.ok(Object.hasOwn(titles, number), `there is no requirement ${number}`);
      const policy = policyOf(rule, { circumstances, secretsProvider: undefined });
      assert.equal(policy.framework?.reference, rule.pci.join(", "));
      assert.equal(policy.url, `docs/compliance.md#${rule.name}`);
      assert.equal(policy.enforcementLevel, rule.level);
    });

    it("passes what is sound", () => {
      assert.deepEqual(violations(rule, reference), []);
    });

    it(`finds each of ${own.length} breaks, with its path and what is wrong`, () => {
      for (const one of own) {
        const found = violations(rule, one.apply(reference));
        assert.ok(
          found.some((finding) => isFinding(one, finding)),
          `${one.how}: expected ${one.on} ${one.at} ${String(one.says)}, found ${JSON.stringify(found.slice(0, 3))}`,
        );
      }
    });

    it("blames nothing but what was broken", () => {
      for (const one of own) {
        const others = violations(rule, one.apply(reference)).filter((finding) => placeOf(finding) !== one.on);
        assert.deepEqual(others, alsoBlamed(one, others), one.how);
      }
    });

    it("heeds its settings", () => {
      const cases = configCases.filter((one) => one.rule === rule.name);
      assert.deepEqual(
        [...new Set(cases.map(({ key }) => key))].sort(),
        Object.keys(rule.settings ?? {}).sort(),
        "each setting has a case",
      );
      for (const { key, sound, value, change } of cases) {
        const stack = change === undefined ? reference : change(reference);
        const config: Record<string, Configured> = { [rule.name]: { [key]: value } };
        const found = violations(rule, stack, { ...circumstances, config });
        assert.equal(found.length === 0, sound, `${key} ${JSON.stringify(value)}: ${JSON.stringify(found[0])}`);
      }
      // Without any setting, settings of other rules change nothing.
      const config = { "another-rule": { minutes: 0, days: 9999 } };
      assert.deepEqual(violations(rule, reference, { ...circumstances, config }), []);
    });

    it("leaves alone what is exempt to this day", () => {
      const given = withExemption(exemption(first, today));
      const all = evaluate([rule], first.apply(reference), given);
      const hit = all.find((finding) => isFinding(first, finding));
      assert.equal(hit?.exemption?.owner, "platform");
      assert.equal(
        violations(rule, first.apply(reference), given).some((finding) => isFinding(first, finding)),
        false,
      );
    });

    it("finds again what was exempt to yesterday", () => {
      const given = withExemption(exemption(first, "2026-11-25"));
      assert.ok(violations(rule, first.apply(reference), given).some((finding) => isFinding(first, finding)));
    });

    it("doesn't heed an exemption of another stack, rule, resource or path", () => {
      const mine = exemption(first, today);
      const others = [
        { ...mine, stack: "staging" },
        { ...mine, rule: "another-rule" },
        { ...mine, resource: `${mine.resource}-2` },
        { ...mine, path: "another.path" },
      ];
      const found = violations(rule, first.apply(reference), withExemption(...others));
      assert.ok(found.some((finding) => isFinding(first, finding)));
    });

    it("reports what isn't known yet, and takes it neither for right nor for wrong", () => {
      for (const { conceal, how } of own) {
        if (conceal === undefined) continue;
        const found = evaluate([rule], conceal(reference), circumstances);
        assert.ok(
          found.some(({ kind }) => kind === "unknown"),
          `${how}: nothing is said of what isn't known`,
        );
        assert.deepEqual(violations(rule, conceal(reference)), [], how);
      }
    });

    for (const [kind, one] of kinds) {
      it(`finds it in ${kind}`, () => {
        assert.ok(violations(rule, one.apply(reference)).some((finding) => isFinding(one, finding)));
      });
    }

    it("looks at the types that it names, and at no others", () => {
      if (rule.scope === "stack") {
        assert.deepEqual(evaluate([rule], { ...reference, resources: [] }, circumstances), []);
        return;
      }
      const foreign = first.apply(reference).resources.map((one) => ({ ...one, type: `other:${one.type}` }));
      assert.deepEqual(evaluate([rule], { ...reference, resources: foreign }, circumstances), []);
      const tried = new Set(own.map(({ on }) => on.slice(0, on.lastIndexOf("::"))));
      const missing = rule.types.filter((type) => !tried.has(type) && !type.endsWith("Patch") && !older.test(type));
      assert.deepEqual(missing, [], "a type has no break");
    });
  });
  suites.set(rule.name, suite);
}

describe("every rule", () => {
  it("has at least nine tests of its own", () => {
    for (const { name } of rules) {
      if (name === "exemptions-are-current") continue;
      assert.ok((suites.get(name)?.tests.length ?? 0) >= 9, name);
    }
  });
});

/** Older or rarer names of types that others of the rule stand for. */
const older = /V2$|kv\/secret:Secret|UserPolicy|DefaultSecurityGroup|SecurityGroupEgressRule|PersistentVolumeClaim/;

/** Two resources that share what only one may have can be blamed either way. */
function alsoBlamed({ rule }: Break, others: readonly Finding[]): readonly Finding[] {
  return ["accounts-are-not-shared", "tenants-are-kept-apart", "namespaces-deny-by-default"].includes(rule)
    ? others
    : [];
}
