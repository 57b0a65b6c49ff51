import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compliancePage } from "../../policy/src/compliance-page.ts";
import { controls, titles } from "../../policy/src/requirements.ts";
import { page } from "../graph/stack-files.ts";
import { rules } from "./support/reference.ts";

/** The requirements for which a plan or a probe of what runs can show something: the list that the rules began with. */
const named = [
  ...["1.2.5", "1.3.1", "1.3.2", "1.4.4", "2.2.2", "2.2.4", "2.2.7", "3.3.1", "3.4.1", "3.5.1", "3.5.1.1", "3.5.1.2"],
  ...["3.6.1", "3.6.1.1", "3.6.1.2", "3.7.1", "3.7.2", "3.7.3", "3.7.4", "3.7.5", "3.7.6", "3.7.7", "3.7.8", "4.2.1"],
  ...["4.2.1.1", "6.3.2", "6.3.3", "6.4.2", "6.4.3", "6.5.3", "6.5.4", "6.5.5", "6.5.6", "7.2.1", "7.2.2", "7.2.5"],
  ...["8.2.8", "8.3.4", "8.3.6", "8.6.1", "8.6.2", "8.6.3", "10.2.1", "10.2.2", "10.3.1", "10.3.2", "10.3.3", "10.3.4"],
  ...["10.4.1.1", "10.5.1", "10.6", "10.7.2", "10.7.3", "11.3.1", "11.3.1.2", "11.4.5", "11.4.6", "11.5.1", "11.5.2"],
  ...["11.6.1", "12.3.3", "12.10.1", "12.10.5", "12.10.7", "A1.1", "A1.2"],
];

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

  it("has every requirement that the platform's domain names a control for, parts of it included", () => {
    for (const number of named) {
      const there = Object.keys(titles).some((title) => title === number || title.startsWith(`${number}.`));
      assert.ok(there, number);
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
