import assert from "node:assert/strict";
import { Hearing } from "../../src/hearing.ts";
import type { Report } from "../../src/members.ts";

describe("what an agent has heard", () => {
  const server = { kind: "down", why: "no connection" } as const;
  const from = (sequence: number, incarnation = "i"): ReadonlyMap<string, Report> =>
    new Map([["m-0", { member: "m-0", incarnation, sequence, epoch: 1, errand: undefined, server }]]);

  it("counts only once it changes here: what lay there before may be of long ago", () => {
    const hearing = new Hearing(5_000);
    hearing.take(from(7), 0);
    assert.equal(hearing.fresh(0).size, 0);
    hearing.take(from(7), 1_000);
    assert.equal(hearing.fresh(1_000).size, 0);
    hearing.take(from(8), 2_000);
    assert.equal(hearing.fresh(2_000).size, 1);
  });

  it("counts for as long as the patience lasts, by this agent's clock alone", () => {
    const hearing = new Hearing(5_000);
    hearing.take(from(1), 0);
    hearing.take(from(2), 1_000);
    hearing.take(from(2), 6_000);
    assert.equal(hearing.fresh(6_000).size, 1);
    assert.equal(hearing.fresh(6_001).size, 0);
    hearing.take(from(1, "next"), 7_000);
    assert.equal(hearing.fresh(7_000).size, 1);
  });

  it("is forgotten with its Lease", () => {
    const hearing = new Hearing(5_000);
    hearing.take(from(1), 0);
    hearing.take(from(2), 1);
    hearing.take(new Map(), 2);
    assert.equal(hearing.fresh(2).size, 0);
  });
});
