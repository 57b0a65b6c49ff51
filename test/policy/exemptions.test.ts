import assert from "node:assert/strict";
import { covers, exemptionFor, ExemptionError, parseExemptions } from "../../policy/src/model/exemption.ts";
import { evaluate } from "../../policy/src/model/evaluate.ts";
import { policyOf } from "../../policy/src/policy.ts";
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

  it("fail once they have expired, by the rule exemptions-are-current, which names owner, rule and day", () => {
    const stack = goldenStack("production");
    const on = (day: string) =>
      evaluate(
        allRules([one], day).filter(({ name }) => name === "exemptions-are-current"),
        stack,
        {
          exemptions: [one],
          today: day,
        },
      );
    assert.deepEqual(on("2026-12-31"), []);
    const [found] = on("2027-01-01");
    assert.match(
      found?.message ?? "",
      /renewed by platform: .*vault-reviewer from tokens-are-short-lived ended on 2026-12-31/,
    );
    assert.equal(on("2027-01-01").length, 1);
    const other = { ...one, stack: "staging" };
    assert.deepEqual(
      evaluate(allRules([other], "2027-01-01").slice(-1), stack, { exemptions: [other], today: "2027-01-01" }),
      [],
      "another stack's",
    );
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
