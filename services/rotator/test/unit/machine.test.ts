import assert from "node:assert/strict";
import { firstLedger, type Generation, type Phase, type RotationLedger } from "@tokenshield/rotation";
import { type Begin, decide, entered, liveOf, type Mandate, rollback, RotatorError } from "../../src/core/index.ts";

const now = new Date("2026-06-01T00:00:00.000Z");
const hour = 3_600_000;
const digests = { group: "0".repeat(32) };
const at = (offset: number): string => new Date(now.getTime() + offset).toISOString();

function ledger(phase: Phase, until: string | null = null): RotationLedger {
  const previous = { generation: 1 as Generation, origin: 1 as Generation, since: at(-2000 * hour), until, digests };
  return { ...firstLedger(digests, now), generation: 2 as Generation, origin: 2 as Generation, phase, previous };
}

const job: Mandate = { until: "converged", grace: "keep" };
const sweep: Mandate = { until: "closed", grace: "keep" };
const begin = (kind: Begin["kind"], generation = 3, origin = generation): Mandate => ({
  ...job,
  begin: { generation: generation as Generation, origin: origin as Generation, request: "r1", kind },
});
const said = (state: RotationLedger, mandate: Mandate): string => {
  const decision = decide(state, mandate, now);
  return decision.kind === "step" ? decision.edge : decision.kind;
};

describe("the next step of a class", () => {
  const table: readonly (readonly [string, RotationLedger, Mandate, string])[] = [
    ["staged", ledger("staged"), job, "retain"],
    ["retained", ledger("retained"), sweep, "verify"],
    ["verified", ledger("verified"), job, "publish"],
    ["published", ledger("published"), sweep, "converge"],
    ["converged, for a job, is the end", ledger("converged", at(-hour)), job, "rest"],
    ["converged within the grace", ledger("converged", at(hour)), sweep, "wait"],
    ["converged within the grace, for a job", ledger("converged", at(hour)), job, "wait"],
    ["converged, grace over", ledger("converged", at(0)), sweep, "discard"],
    ["converged, value known to others", ledger("converged", at(hour)), { ...job, grace: "skip" }, "discard"],
    ["discarded", ledger("discarded"), job, "close"],
    ["closed", ledger("closed"), sweep, "rest"],
    ["abandoned", ledger("abandoned"), sweep, "rest"],
    ["closed, and a generation to begin", ledger("closed"), begin("rotate"), "stage"],
    ["abandoned, and a generation to begin", ledger("abandoned"), begin("rotate"), "stage"],
    ["the generation to begin has begun", ledger("retained"), begin("rotate", 2), "verify"],
    ["the generation to begin is closed", ledger("closed"), begin("rotate", 2), "rest"],
    ["retained, to be rolled back", ledger("retained"), begin("rollback", 3, 1), "undo"],
    ["published, to be rolled back", ledger("published"), begin("rollback", 3, 1), "stage"],
    ["converged, to be rolled back", ledger("converged", at(hour)), begin("rollback", 3, 1), "stage"],
    ["abandoned, and to be rolled back: that is done", ledger("abandoned"), begin("rollback", 3, 1), "rest"],
    ["retained, to be adopted", ledger("retained"), begin("adopt"), "undo"],
    ["verified, to be rolled back, as it may be published", ledger("verified"), begin("rollback", 3, 1), "stage"],
    ["verified, to be adopted", ledger("verified"), begin("adopt"), "publish"],
    ["published, to be adopted", ledger("published"), begin("adopt"), "converge"],
    ["converged, to be adopted", ledger("converged", at(hour)), begin("adopt"), "discard"],
    ["discarded, and a generation to begin", ledger("discarded"), begin("rotate"), "close"],
  ];
  for (const [name, state, mandate, expected] of table) {
    it(`${name}: ${expected}`, () => {
      assert.equal(said(state, mandate), expected);
    });
  }

  it("rolls nothing back once the value before is gone", () => {
    for (const phase of ["discarded", "closed"] as const) {
      assert.throws(() => decide(ledger(phase), begin("rollback", 3, 1), now), /the value before is gone/);
    }
  });

  const outOfOrder = (error: unknown): boolean => error instanceof RotatorError && error.code === "OUT_OF_ORDER";
  it("begins no generation that doesn't follow the ledger's", () => {
    assert.throws(() => decide(ledger("closed"), begin("rotate", 4), now), outOfOrder);
  });
  for (const phase of ["staged", "retained", "verified", "published", "converged"] as const) {
    it(`begins no other rotation while one is ${phase}: it would end the first old value`, () => {
      assert.throws(() => decide(ledger(phase, at(hour)), begin("rotate"), now), outOfOrder);
    });
  }
});

describe("the ledger after a step", () => {
  const facts = { now, graceSeconds: 7200 };
  const staged = (from: RotationLedger, mandate: Mandate): RotationLedger => {
    assert.ok(mandate.begin);
    return entered(from, "stage", { ...facts, begin: mandate.begin, digests: { group: "1".repeat(32) } });
  };

  it("begins on top of the live generation", () => {
    const next = staged(ledger("closed"), begin("rotate"));
    assert.equal(next.phase, "staged");
    assert.equal(next.previous?.generation, 2);
    assert.equal(next.since, now.toISOString());
    assert.equal(next.request, "r1");
  });

  it("begins on top of the generation before an abandoned one, whose number is never used again", () => {
    const next = staged(ledger("abandoned"), begin("rotate"));
    assert.equal(next.generation, 3);
    assert.equal(next.previous?.generation, 1);
  });

  it("keeps the age of a value that comes back", () => {
    const before = ledger("converged", at(hour));
    const next = staged(before, begin("rollback", 3, 1));
    assert.equal(next.since, before.previous?.since);
    assert.equal(next.origin, 1);
    assert.equal(next.previous?.generation, 2);
  });

  it("begins the grace when every consumer has converged", () => {
    assert.equal(entered(ledger("published"), "converge", facts).previous?.until, at(2 * hour));
  });

  it("leads through the phases in their order", () => {
    const phases = (["retain", "verify", "publish", "converge", "discard", "close", "undo"] as const).map(
      (edge) => entered(ledger("staged"), edge, facts).phase,
    );
    assert.deepEqual(phases, ["retained", "verified", "published", "converged", "discarded", "closed", "abandoned"]);
  });

  it("tells what consumers use", () => {
    const live = (["staged", "retained", "verified", "abandoned", "published", "converged", "closed"] as const).map(
      (phase) => liveOf(ledger(phase)).generation,
    );
    assert.deepEqual(live, [1, 1, 1, 1, 2, 2, 2]);
  });
});

describe("a rollback", () => {
  it("undoes what nobody uses, brings back what somebody used, and comes too late once the old value is gone", () => {
    assert.equal(rollback(ledger("staged"), null), "undo");
    assert.equal(rollback(ledger("retained"), null), "undo");
    assert.notEqual(rollback(ledger("verified"), null), "undo");
    assert.deepEqual(rollback(ledger("published"), "r2"), {
      generation: 3,
      origin: 1,
      request: "r2",
      kind: "rollback",
    });
    assert.equal(rollback(ledger("discarded"), null), "too late");
    assert.equal(rollback(ledger("closed"), null), "too late");
    assert.equal(rollback(ledger("abandoned"), null), "too late");
  });
});
