import assert from "node:assert/strict";
import { firstLedger, type Generation, type Phase, type RotationLedger } from "@tokenshield/rotation";
import { type ClassPlan, planRotation, type RotationPolicy } from "../../../../bin/components/secrets/plan.js";

const start = new Date("2026-01-01T02:00:00.000Z");
const days = (count: number): Date => new Date(start.getTime() + count * 86_400_000);
const policy: RotationPolicy = { automatic: true, intervalDays: 90, graceHours: 24 };
const generation = (number: number): Generation => number as Generation;

/** A ledger at generation 5, made at the start, whose rotation from 4 is in a phase. */
function ledgerIn(phase: Phase, changes: Partial<RotationLedger> = {}): RotationLedger {
  const previous = {
    generation: generation(4),
    origin: generation(4),
    since: days(-90).toISOString(),
    until: phase === "converged" || phase === "discarded" ? days(1).toISOString() : null,
    digests: {},
  };
  return {
    ...firstLedger({}, start),
    generation: generation(5),
    origin: generation(5),
    phase,
    previous: phase === "closed" ? null : previous,
    ...changes,
  };
}

function plan(ledger: RotationLedger | undefined, changes: Partial<RotationPolicy> = {}, now = days(1)): ClassPlan {
  const made = planRotation({ database: ledger }, { database: { ...policy, ...changes } }, now)["database"];
  assert.ok(made);
  return made;
}

const asks = (kind: "rotate" | "rollback" | "adopt"): Partial<RotationPolicy> => ({
  request: { kind, id: "first", reason: "test" },
});

describe("planRotation", () => {
  const table: readonly {
    readonly title: string;
    readonly ledger: RotationLedger | undefined;
    readonly policy?: Partial<RotationPolicy>;
    readonly now?: Date;
    readonly expected: Partial<ClassPlan>;
  }[] = [
    {
      title: "makes the first generation of a class that was added",
      ledger: undefined,
      expected: { action: "create", generation: generation(1), live: null, declared: [generation(1)], previous: null },
    },
    {
      title: "changes nothing where nothing is due",
      ledger: ledgerIn("closed"),
      now: days(89),
      expected: { action: "keep", generation: generation(5), declared: [generation(5)], previous: null },
    },
    {
      title: "advances by one where the interval has passed to the millisecond",
      ledger: ledgerIn("closed"),
      now: days(90),
      expected: {
        action: "advance",
        generation: generation(6),
        origin: generation(6),
        live: generation(5),
        declared: [generation(5), generation(6)],
        previous: generation(5),
      },
    },
    {
      title: "advances by one after 2 years without an update",
      ledger: ledgerIn("closed"),
      now: days(730),
      expected: { action: "advance", generation: generation(6) },
    },
    {
      title: "says why the generation begins that is due",
      ledger: ledgerIn("closed"),
      now: days(91),
      expected: { begins: "rotate", reason: `due since ${days(90).toISOString()}`, request: null },
    },
    {
      title: "says why the generation begins that was asked for",
      ledger: ledgerIn("closed"),
      policy: asks("rotate"),
      expected: { begins: "rotate", reason: "test", request: "first" },
    },
    {
      title: "begins nothing of what only goes on",
      ledger: ledgerIn("published"),
      expected: { action: "resume", begins: null, reason: null },
    },
    {
      title: "holds back what the platform doesn't rotate, and says why once it is due",
      ledger: ledgerIn("closed"),
      policy: { held: "somebody else's" },
      now: days(91),
      expected: { action: "keep", generation: generation(5), deferred: "somebody else's" },
    },
    {
      title: "holds it back where it is asked for, and says nothing before",
      ledger: ledgerIn("closed"),
      policy: { held: "somebody else's" },
      expected: { action: "keep", deferred: null },
    },
    {
      title: "holds still where the clock stands before the last change",
      ledger: ledgerIn("closed"),
      now: days(-400),
      expected: { action: "keep", generation: generation(5) },
    },
    {
      title: "keeps a grace open where the clock went backwards",
      ledger: ledgerIn("converged"),
      now: days(-400),
      expected: { action: "keep", declared: [generation(4), generation(5)], previous: generation(4) },
    },
    {
      title: "never rotates a manual class by itself",
      ledger: ledgerIn("closed"),
      policy: { automatic: false },
      now: days(5000),
      expected: { action: "keep", due: null },
    },
    {
      title: "advances a class on request before it is due",
      ledger: ledgerIn("closed"),
      policy: asks("rotate"),
      expected: { action: "advance", generation: generation(6), request: "first" },
    },
    {
      title: "advances a manual class on request",
      ledger: ledgerIn("closed"),
      policy: { automatic: false, ...asks("rotate") },
      expected: { action: "advance", generation: generation(6) },
    },
    {
      title: "carries out a request once",
      ledger: ledgerIn("closed", { request: "first" }),
      policy: asks("rotate"),
      expected: { action: "keep", request: null, deferred: null },
    },
    {
      title: "lets a request wait for an open grace",
      ledger: ledgerIn("converged"),
      policy: asks("rotate"),
      expected: {
        action: "keep",
        generation: generation(5),
        deferred:
          "the rotation that was asked for waits: the grace of generation 4 is open until 2026-01-02T02:00:00.000Z",
      },
    },
    {
      title: "lets what is due wait for an open grace",
      ledger: ledgerIn("converged"),
      now: days(91),
      expected: { action: "keep", generation: generation(5) },
    },
    {
      title: "rolls back as a new generation that carries the previous value",
      ledger: ledgerIn("converged"),
      policy: asks("rollback"),
      expected: {
        action: "advance",
        generation: generation(6),
        origin: generation(4),
        live: generation(5),
        declared: [generation(4), generation(5)],
        previous: generation(5),
      },
    },
    {
      title: "rolls back a rotation that isn't published yet",
      ledger: ledgerIn("retained"),
      policy: asks("rollback"),
      expected: { action: "advance", generation: generation(6), origin: generation(4), live: generation(4) },
    },
    {
      title: "refuses a rollback once the previous value is gone",
      ledger: ledgerIn("closed"),
      policy: asks("rollback"),
      expected: {
        action: "keep",
        deferred: "rollback is refused: the previous value is gone, so ask for a rotation",
      },
    },
    {
      title: "refuses a rollback while the previous value is being discarded",
      ledger: ledgerIn("discarded"),
      policy: asks("rollback"),
      expected: { action: "keep", generation: generation(5) },
    },
    {
      title: "settles a rollback that came too late by the next rotation, which it must not undo",
      ledger: ledgerIn("closed"),
      policy: asks("rollback"),
      now: days(90),
      expected: {
        action: "advance",
        origin: generation(6),
        request: "first",
        deferred: "rollback is refused: the previous value is gone, so ask for a rotation",
      },
    },
    {
      title: "refuses a rollback to a value that the state doesn't hold",
      ledger: ledgerIn("converged", { previous: { ...live(), origin: null } }),
      policy: asks("rollback"),
      expected: { action: "keep", generation: generation(5), declared: [generation(5)] },
    },
    {
      title: "adopts a live credential that the state lost, as a new generation on top",
      ledger: ledgerIn("closed"),
      policy: asks("adopt"),
      expected: { action: "advance", generation: generation(6), live: generation(5), declared: [generation(6)] },
    },
    {
      title: "adopts in the middle of a rotation",
      ledger: ledgerIn("published"),
      policy: asks("adopt"),
      expected: { action: "advance", generation: generation(6), declared: [generation(6)] },
    },
    {
      title: "never uses the number of a rotation that failed again",
      ledger: ledgerIn("abandoned"),
      policy: asks("rotate"),
      expected: { action: "advance", generation: generation(6), live: generation(4), previous: generation(4) },
    },
    {
      title: "stays with the old generation after a failed rotation, until it is due",
      ledger: ledgerIn("abandoned", { previous: { ...live(), since: days(0).toISOString() } }),
      expected: { action: "keep", generation: generation(4), declared: [generation(4)], previous: null },
    },
  ];

  for (const { title, ledger, policy: changes, now, expected } of table) {
    it(title, () => {
      const made = plan(ledger, changes, now);
      assert.deepEqual({ ...made, ...expected }, made);
    });
  }

  for (const phase of ["staged", "retained", "verified", "published"] as const) {
    it(`goes on with a rotation that stopped when it was ${phase}, whatever is due or asked for`, () => {
      for (const changes of [{}, asks("rotate")]) {
        const made = plan(ledgerIn(phase), changes, days(500));
        assert.equal(made.action, "resume");
        assert.equal(made.generation, 5);
        assert.equal(made.live, phase === "published" ? 5 : 4);
        assert.deepEqual(made.declared, [4, 5]);
      }
    });
  }

  it("leaves the ledger and values of a class without a policy as they are", () => {
    const made = planRotation({ old: ledgerIn("closed") }, { database: policy }, days(500));
    assert.deepEqual(Object.keys(made), ["database", "old"]);
    assert.equal(made["old"]?.action, "retire");
    assert.equal(made["old"].generation, 5);
    assert.deepEqual(made["old"].declared, []);
  });
});

function live(): NonNullable<RotationLedger["previous"]> {
  const { previous } = ledgerIn("abandoned");
  assert.ok(previous);
  return previous;
}
