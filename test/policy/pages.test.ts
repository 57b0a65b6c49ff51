import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compliancePage } from "../../policy/src/compliance-page.ts";
import { controls, titles } from "../../policy/src/requirements.ts";
import { page } from "../graph/stack-files.ts";
import { rules } from "./support/reference.ts";

describe("docs/compliance.md", () => {
  it("is what the rules say; after a change that is meant, run `npm run docs`", () => {
    assert.equal(page("compliance.md"), compliancePage(rules));
  });

  it("leaves no requirement without a rule or the reason why there is none", () => {
    for (const number of Object.keys(titles)) {
      const own = controls.filter(({ requirements }) => requirements.includes(number));
      assert.equal(own.length, 1, `${number} belongs to one control`);
      const ruled = rules.some(({ pci }) => pci.includes(number));
      assert.ok(ruled || own[0]?.gap !== undefined, `${number} has neither a rule nor a reason`);
      const looked = own[0]?.evidence !== undefined || own[0]?.elsewhere !== undefined;
      assert.ok(looked, `${number} has no evidence`);
    }
  });

  it("names no requirement that it has no title of, and no evidence that isn't there", () => {
    for (const { requirements, evidence = [] } of controls) {
      for (const number of requirements) assert.ok(Object.hasOwn(titles, number), number);
      for (const file of evidence) assert.ok(existsSync(join(import.meta.dirname, "../..", file)), file);
    }
  });

  it("has a section for each rule, where the findings' address leads", () => {
    const text = page("compliance.md");
    for (const { name } of rules) assert.ok(text.includes(`\n### ${name}\n`), name);
  });
});
