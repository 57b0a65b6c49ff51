import assert from "node:assert/strict";
import { besideSeries, firstLedger, type InUse, inUseSeries, type RotationLedger } from "@tokenshield/rotation";
import { type Consumer, parseReports, type Process, stragglers } from "../../src/consumers/index.ts";

const digest = "0123456789abcdef0123456789abcdef";
const other = "f".repeat(32);
const ledger: RotationLedger = firstLedger({ database_root: digest, jwt: other }, new Date(0));
const consumer: Consumer = { name: "tokenizer", url: "https://tokenizer:8090/metrics", groups: ["database_root"] };

const report = (generation: number, value: string): InUse => ({
  group: "database_root",
  generation,
  digest: value,
  beside: undefined,
});

function process(reports: Process["reports"], name = "tokenizer/10.0.0.1"): Process {
  return { name, consumer, reports };
}

describe("what consumers tell", () => {
  it("is read from their metrics, whatever other labels and series there are", () => {
    const text = [
      `# HELP ${inUseSeries} Generation`,
      `# TYPE ${inUseSeries} gauge`,
      `${inUseSeries}{group="mysql",tenant_id="acme",secret_group="database_root",digest="${digest}"} 7`,
      `${inUseSeries}{tenant_id="acme",secret_group="jwt",digest="${other}"} 12`,
      `${besideSeries}{tenant_id="acme",secret_group="jwt",digest="${digest}"} 1`,
      `${inUseSeries}_total{secret_group="x",digest="y"} 3`,
      `${inUseSeries}{secret_group="no digest"} 3`,
      "process_resident_memory_bytes 1",
    ].join("\n");
    assert.deepEqual(parseReports(text), [
      { group: "database_root", generation: 7, digest, beside: undefined },
      { group: "jwt", generation: 12, digest: other, beside: digest },
    ]);
  });

  const table: readonly (readonly [string, Process["reports"], readonly string[]])[] = [
    ["the ledger's generation and value", [report(1, digest)], []],
    ["no answer", undefined, ["tokenizer/10.0.0.1 (no answer)"]],
    ["nothing of the group", [], ["tokenizer/10.0.0.1 (database_root)"]],
    ["an older generation", [report(0, digest)], ["tokenizer/10.0.0.1 (database_root)"]],
    ["the generation with another value", [report(1, other)], ["tokenizer/10.0.0.1 (database_root)"]],
  ];
  for (const [name, reports, expected] of table) {
    it(`${name}: ${expected.length === 0 ? "has come over" : "is late"}`, () => {
      assert.deepEqual(stragglers(ledger, [process(reports)]), expected);
    });
  }

  it("asks a process about the groups that it uses only, and names each that is late", () => {
    const good = process([report(1, digest)], "tokenizer/10.0.0.2");
    assert.deepEqual(stragglers(ledger, [good, process(undefined), process([], "tokenizer/10.0.0.3")]), [
      "tokenizer/10.0.0.1 (no answer)",
      "tokenizer/10.0.0.3 (database_root)",
    ]);
  });
});
