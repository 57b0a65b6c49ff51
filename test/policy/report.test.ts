import assert from "node:assert/strict";
import { rowsOf } from "../../policy/src/command/events.ts";
import { junit } from "../../policy/src/command/junit.ts";
import { type Row, sortedRows } from "../../policy/src/command/row.ts";
import { sarif } from "../../policy/src/command/sarif.ts";
import { table } from "../../policy/src/command/table.ts";
import { rules } from "./support/reference.ts";

const urn = "urn:pulumi:lab::tokenshield::tokenshield:index:TokenShield$kubernetes:core/v1:Namespace::acme";
const path = "metadata.labels.pod-security.kubernetes.io/enforce";
const rule = "namespaces-admit-restricted-pods";

const event = (policyEvent: object): string => JSON.stringify({ sequence: 1, policyEvent });
const violation = event({
  resourceUrn: urn,
  policyName: rule,
  enforcementLevel: "mandatory",
  message: `Every namespace must admit restricted pods.\nLabel it.\n${path}: must be restricted\n`,
});
const unknowns = event({
  resourceUrn: urn,
  policyName: rule,
  enforcementLevel: "advisory",
  message: `A rule.\ncan't run policy '${rule}' from policy pack 'tokenshield@v1.0.0' during preview: acme: a.b: is known only after the update; other: c: is known only after the update`,
});
const advice = event({
  policyName: "controls-raise-alerts",
  enforcementLevel: "advisory",
  message: "A.\nmust raise an alert for <audit>",
});

const rows: readonly Row[] = sortedRows(rowsOf("lab", [unknowns, advice, "not an event", violation, "{}"].join("\n")));

describe("the findings of the engine's events", () => {
  it("are one row a violation, with its path, and one a value that isn't known", () => {
    assert.deepEqual(rows, [
      { stack: "lab", rule, urn, path, message: "must be restricted", level: "mandatory" },
      {
        ...{ stack: "lab", rule: "controls-raise-alerts", urn: "", path: "" },
        ...{ message: "must raise an alert for <audit>", level: "advisory" },
      },
      {
        stack: "lab",
        rule,
        urn: "urn:pulumi:lab::::::other",
        path: "c",
        message: "is known only after the update",
        level: "unknown",
      },
      { stack: "lab", rule, urn, path: "a.b", message: "is known only after the update", level: "unknown" },
    ]);
  });

  it("become a table: level, stack, rule, resource, path, finding, requirement; what isn't known is counted", () => {
    const lines = table(rows, rules).split("\n");
    assert.match(lines[0] ?? "", /^LEVEL\s+STACK\s+RULE\s+RESOURCE\s+PATH\s+FINDING\s+PCI DSS$/);
    assert.match(
      lines[1] ?? "",
      /^mandatory\s+lab\s+namespaces-admit-restricted-pods\s+acme\s+metadata\S+\s+must be restricted\s+2\.2\.1/,
    );
    assert.ok(lines.includes(`  lab ${rule}: 2 values`), lines.join("\n"));
    assert.equal(table([], rules), "");
  });

  it("become SARIF 2.1.0, whose results point at rules by index and at stacks' files", () => {
    const { version, runs } = JSON.parse(sarif(rows, rules, "1.0.0")) as {
      version: string;
      runs: {
        tool: { driver: { rules: { id: string }[] } };
        results: { ruleId: string; ruleIndex: number; level: string; message: { text: string }; locations: object[] }[];
      }[];
    };
    assert.equal(version, "2.1.0");
    const [run] = runs;
    assert.equal(run?.tool.driver.rules.length, rules.length);
    assert.deepEqual(
      run.results.map(({ level }) => level),
      ["error", "warning", "note", "note"],
    );
    for (const { ruleId, ruleIndex } of run.results) assert.equal(run.tool.driver.rules[ruleIndex]?.id, ruleId);
    assert.equal(run.results[0]?.message.text, `acme: ${path} must be restricted`);
    assert.ok(JSON.stringify(run.results[0].locations).includes("stacks/Pulumi.lab.yaml"));
  });

  it("become JUnit, a suite a stack and a case a rule, with text escaped", () => {
    const text = junit(rows, rules, ["lab", "dev"]);
    assert.match(text, new RegExp(`<testsuite name="lab" tests="${rules.length}" failures="1">`));
    assert.match(text, new RegExp(`<testsuite name="dev" tests="${rules.length}" failures="0">`));
    assert.match(text, /<failure message="Every namespace must [^"]*">acme: metadata\.labels/);
    assert.match(text, /must raise an alert for &lt;audit&gt;/);
    assert.equal(text.split("<testcase ").length - 1, rules.length * 2);
  });
});
