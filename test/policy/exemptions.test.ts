import assert from "node:assert/strict";
import {
  covers,
  type Exemption,
  exemptionFor,
  ExemptionError,
  parseExemptions,
} from "../../policy/src/model/exemption.ts";
import { evaluate } from "../../policy/src/model/evaluate.ts";
import type { Stack } from "../../policy/src/model/resource.ts";
import type { Rule } from "../../policy/src/model/rule.ts";
import { unknown } from "../../policy/src/model/value.ts";
import { policyOf } from "../../policy/src/policy.ts";
import { titles } from "../../policy/src/requirements.ts";
import { allRules } from "../../policy/src/rules/index.ts";
import { stackNames } from "../graph/stack-files.ts";
import { exemptions, goldenStack, today } from "./support/reference.ts";

const one = {
  rule: "tokens-are-short-lived",
  stack: "production",
  resource: "vault-reviewer",
  owner: "platform",
  reason: "Vault needs it to review tokens of pods.",
  expires: "2026-12-31",
};
const names = allRules([], today).map(({ name }) => name);
const place = {
  rule: one.rule,
  stack: "production",
  urn: "urn:pulumi:production::tokenshield::a:b:C$kubernetes:core/v1:Secret::vault-reviewer",
  path: "spec.volumes[0].name",
};

describe("exemptions", () => {
  it("keep a remediation away from what they cover", () => {
    const rule = allRules([], today).find(({ name }) => name === "accounts-mount-no-token");
    assert.ok(rule !== undefined);
    const remediated = (name: string): unknown => {
      const policy = policyOf(rule, { circumstances: { exemptions, today }, secretsProvider: undefined });
      assert.ok("remediateResource" in policy);
      const type = "kubernetes:core/v1:ServiceAccount";
      const args = { type, name, urn: `urn:pulumi:lab::t::${type}::${name}`, props: { metadata: { name } } };
      return policy.remediateResource({ ...args, opts: { protect: false }, getConfig: () => ({}) } as never);
    };
    assert.deepEqual(remediated("acme"), { metadata: { name: "acme" }, automountServiceAccountToken: false });
    assert.equal(remediated("addons-metrics-server:kube-system/metrics-server"), undefined);
  });

  it("are read with owner, reason and last day", () => {
    assert.deepEqual(parseExemptions(JSON.stringify([one]), names), [one]);
  });

  for (const [what, list, expected] of [
    ["no list", "{}", /expected a list/],
    ["no JSON", "[", /expected JSON/],
    ["an entry without an owner", [{ ...one, owner: "" }], /\[0\]\.owner: expected a text/],
    ["a rule that isn't there", [{ ...one, rule: "no-such-rule" }], /\[0\]\.rule: there is no rule no-such-rule/],
    ["a day that is none", [{ ...one, expires: "soon" }], /\[0\]\.expires: expected a day like 2026-01-31, given soon/],
    ["a reason of one word", [{ ...one, reason: "because" }], /\[0\]\.reason: expected a full sentence/],
    ["an unknown field", [{ ...one, until: "2027" }], /\[0\]\.until: not a field/],
    ["all of it", [{}], /\[0\]\.rule: .*\[0\]\.expires: /],
  ] as const) {
    it(`are refused by path where they are wrong: ${what}`, () => {
      const text = typeof list === "string" ? list : JSON.stringify(list);
      assert.throws(
        () => parseExemptions(text, names),
        (error) => error instanceof ExemptionError && expected.test(error.message),
      );
    });
  }

  it("cover a resource by name or by type and name, with * for any text, and a path with what is below it", () => {
    assert.ok(covers(one, place));
    assert.ok(covers({ ...one, resource: "kubernetes:core/v1:Secret::vault-*" }, place));
    assert.ok(covers({ ...one, stack: "*", resource: "*" }, place));
    assert.ok(covers({ ...one, path: "spec.volumes" }, place));
    assert.ok(!covers({ ...one, path: "spec.vol" }, place));
    assert.ok(!covers({ ...one, resource: "vault" }, place));
    assert.ok(!covers({ ...one, resource: "vault.reviewer" }, place), "a full stop is a full stop");
    assert.ok(!covers({ ...one, stack: "staging" }, place));
  });

  it("hold on their last day, and no longer", () => {
    assert.equal(exemptionFor([one], place, "2026-12-31"), one);
    assert.equal(exemptionFor([one], place, "2027-01-01"), undefined);
  });

  it("that are committed each cover something", () => {
    const rules = allRules([], today);
    const found = stackNames.flatMap((name) =>
      evaluate(rules, goldenStack(name), { exemptions, today }).flatMap(({ exemption }) => exemption ?? []),
    );
    const charts = stackNames.flatMap((name) =>
      goldenStack(name).resources.filter(({ type }) => type.endsWith(":Chart")),
    );
    for (const exemption of exemptions) {
      // What is in a chart, no golden plan shows; the chart itself it does.
      const chart = /^(addons-[\w-]+):\*$/.exec(exemption.resource)?.[1];
      if (chart !== undefined && charts.some(({ name }) => name === chart)) continue;
      assert.ok(found.includes(exemption), `${exemption.rule} of ${exemption.stack}: nothing needs it, so remove it`);
    }
  });
});

describe("the rule exemptions-are-current", () => {
  const stack = goldenStack("production");
  const after = "2027-01-01";
  /** What it finds in production on a day, by a list of exemptions. */
  const found = (list: readonly Exemption[], today: string, plan: Stack = stack) =>
    evaluate([ruleOf(list, today)], plan, { exemptions: list, today }).filter(
      ({ exemption }) => exemption === undefined,
    );
  function ruleOf(list: readonly Exemption[], today: string): Rule {
    const rule = allRules(list, today).find(({ name }) => name === "exemptions-are-current");
    assert.ok(rule !== undefined);
    return rule;
  }

  it("says what it asks, why and what to do", () => {
    const { description, remediation, pci, level, scope } = ruleOf([], today);
    assert.match(description, /\bmust\b.*\.$/);
    assert.match(remediation, /^[A-Z].*\.$/);
    assert.ok(pci.every((number) => Object.hasOwn(titles, number)));
    assert.deepEqual([level, scope], ["mandatory", "stack"]);
  });

  it("passes where there is no exemption", () => {
    assert.deepEqual(found([], after), []);
  });

  it("passes on the last day", () => {
    assert.deepEqual(found([one], one.expires), []);
  });

  it("fails on the day after, and names owner, rule, resource and day", () => {
    const messages = found([one], after).map(({ message }) => message);
    assert.equal(messages.length, 1);
    assert.match(
      messages[0] ?? "",
      /renewed by platform: .*vault-reviewer from tokens-are-short-lived ended on 2026-12-31/,
    );
  });

  it("blames the stack, at no path", () => {
    const [only] = found([one], after);
    assert.equal(only?.urn, stack.resources[0]?.urn);
    assert.equal(only?.path, "");
  });

  it("tells of each that has expired", () => {
    const other = { ...one, resource: "another", owner: "shop" };
    assert.deepEqual(
      found([one, other, { ...one, expires: "2028-01-01" }], after).map(({ message }) => /by (\w+)/.exec(message)?.[1]),
      ["platform", "shop"],
    );
  });

  it("heeds those of every stack, and none of another stack", () => {
    assert.equal(found([{ ...one, stack: "*" }], after).length, 1);
    assert.deepEqual(found([{ ...one, stack: "staging" }], after), []);
  });

  it("can be exempt itself, to a day", () => {
    const grace = { ...one, rule: "exemptions-are-current", resource: "*", expires: "2027-01-31" };
    assert.deepEqual(found([one, grace], after), []);
    assert.notDeepEqual(found([one, grace], "2027-02-01"), []);
  });

  it("looks at no value of a plan, known or not", () => {
    const hidden = { ...stack, resources: stack.resources.map((resource) => ({ ...resource, props: { a: unknown } })) };
    assert.deepEqual(
      found([one], after, hidden).map(({ kind }) => kind),
      ["violation"],
    );
    assert.deepEqual(found([one], today, hidden), []);
  });

  it("has no settings, and heeds no others", () => {
    assert.equal(ruleOf([one], after).settings, undefined);
    const config = { "exemptions-are-current": { expires: "2099-12-31" } };
    assert.equal(evaluate([ruleOf([one], after)], stack, { exemptions: [one], today: after, config }).length, 1);
  });
});
