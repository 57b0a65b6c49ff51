import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folders = [join(import.meta.dirname, ".."), join(import.meta.dirname, "../../../../test/lab")];

/** The defects of the prototype that a title names: `… (defects 4, 5)` at its end, or `39, 44: …` at its beginning. */
function named(title: string): readonly number[] {
  const list = /\(defects? ([\d, ]+)\)$/.exec(title)?.[1] ?? /^([\d, ]+): /.exec(title)?.[1] ?? "";
  return list.split(",").flatMap((number) => (number.trim() === "" ? [] : [Number(number)]));
}

describe("the prototype's 55 defects (data-plane contract, section 10)", () => {
  it("are each named by a test, those of Squid and HAProxy aside", () => {
    const found = new Set<number>();
    for (const folder of folders) {
      for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        // A test's data may look like a title; the `it(` before it makes it one.
        if (!file.endsWith(".ts") || file.includes("node_modules")) continue;
        const source = readFileSync(join(folder, file), "utf8");
        for (const [, title = ""] of source.matchAll(/\bit\(\s*["'`](.*?)["'`],/g))
          named(title).forEach((one) => found.add(one));
      }
    }
    const ofTheProxies = [29, 31];
    const expected = Array.from({ length: 55 }, (_, index) => index + 1).filter((one) => !ofTheProxies.includes(one));
    assert.deepEqual(
      expected.filter((one) => !found.has(one)),
      [],
    );
  });
});
