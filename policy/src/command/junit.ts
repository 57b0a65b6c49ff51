import type { Rule } from "../model/rule.ts";
import { nameOf } from "../model/resource.ts";
import type { Row } from "./row.ts";

/** The findings as JUnit: a suite a stack, a case a rule, failed where a mandatory finding is. */
export function junit(rows: readonly Row[], rules: readonly Rule[], stacks: readonly string[]): string {
  const suites = stacks.map((stack) => {
    const cases = rules.map((rule) =>
      caseOf(
        rule,
        rows.filter((row) => row.stack === stack && row.rule === rule.name),
      ),
    );
    const failures = cases.filter(({ failed }) => failed).length;
    const head = `  <testsuite name="${escaped(stack)}" tests="${cases.length}" failures="${failures}">`;
    return [head, ...cases.map(({ text }) => text), "  </testsuite>"].join("\n");
  });
  return ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", ...suites, "</testsuites>", ""].join("\n");
}

function caseOf(rule: Rule, rows: readonly Row[]): { readonly text: string; readonly failed: boolean } {
  const said = (wanted: (row: Row) => boolean): string =>
    rows
      .filter(wanted)
      .map(({ urn, path, message }) => `${nameOf(urn)}: ${path} ${message}`)
      .join("\n");
  const failure = said(({ level }) => level === "mandatory");
  const rest = said(({ level }) => level !== "mandatory");
  const body = [
    ...(failure === "" ? [] : [`      <failure message="${escaped(rule.description)}">${escaped(failure)}</failure>`]),
    ...(rest === "" ? [] : [`      <system-out>${escaped(rest)}</system-out>`]),
  ];
  const head = `    <testcase name="${escaped(rule.name)}" classname="${escaped(rule.pci.join(" "))}"`;
  const text = body.length === 0 ? `${head}/>` : [`${head}>`, ...body, "    </testcase>"].join("\n");
  return { text, failed: failure !== "" };
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
