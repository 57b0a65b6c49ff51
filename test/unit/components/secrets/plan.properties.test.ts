import assert from "node:assert/strict";
import fc from "fast-check";
import { firstLedger, ledgerText, parseLedger, type RotationLedger } from "@tokenshield/rotation";
import { type ClassPlan, planRotation, type RotationPolicy } from "../../../../bin/components/secrets/plan.js";

const hour = 3_600_000;
const epoch = Date.parse("2026-01-01T00:00:00.000Z");

/** What happens between two updates, and at the second. */
interface Turn {
  /** How far the clock moves, in hours; backwards too. */
  readonly hours: number;
  /** How many steps the rotator takes before the next update; it may fail at the last. */
  readonly steps: number;
  readonly fails: boolean;
  readonly request: RotationPolicy["request"];
}

const turn: fc.Arbitrary<Turn> = fc.record({
  hours: fc.integer({ min: -800, max: 20_000 }),
  steps: fc.integer({ min: 0, max: 9 }),
  fails: fc.boolean(),
  request: fc.option(
    fc.record({
      kind: fc.constantFrom("rotate", "rollback", "adopt"),
      id: fc.constantFrom("a", "b", "c"),
      reason: fc.constant("test"),
    }),
    { nil: undefined },
  ),
});

const policies: fc.Arbitrary<RotationPolicy> = fc.record({
  automatic: fc.boolean(),
  intervalDays: fc.integer({ min: 1, max: 365 }),
  graceHours: fc.integer({ min: 1, max: 720 }),
});

const order = ["staged", "retained", "verified", "published", "converged", "discarded", "closed"] as const;

/** A rotator that begins what was planned and takes some steps. */
function rotated(ledger: RotationLedger | undefined, plan: ClassPlan, turn: Turn, now: Date): RotationLedger {
  if (ledger === undefined) return firstLedger({}, now);
  let next = ledger;
  if (plan.action === "advance" && plan.origin !== null && plan.previous !== null) {
    const wasLive = plan.previous === ledger.generation ? ledger : ledger.previous;
    assert.ok(wasLive);
    const origin = plan.declared.includes(wasLive.origin ?? plan.generation) ? wasLive.origin : null;
    next = {
      ...ledger,
      generation: plan.generation,
      origin: plan.origin,
      phase: "staged",
      since: now.toISOString(),
      previous: { generation: plan.previous, origin, since: wasLive.since, until: null, digests: {} },
      request: plan.request ?? ledger.request,
    };
  }
  for (let step = 0; step < turn.steps && next.phase !== "closed" && next.phase !== "abandoned"; step++) {
    if (turn.fails && step === turn.steps - 1 && ["staged", "retained", "verified"].includes(next.phase)) {
      return { ...next, phase: "abandoned" };
    }
    const phase = order[order.indexOf(next.phase) + 1] ?? "closed";
    const previous = phase === "closed" ? null : next.previous;
    next = { ...next, phase, previous };
  }
  return next;
}

/** Plays updates and hands each to a check. Returns the plans. */
function played(
  policy: RotationPolicy,
  turns: readonly Turn[],
  check: (plan: ClassPlan, before: RotationLedger | undefined, now: Date, policy: RotationPolicy) => void,
): void {
  let ledger: RotationLedger | undefined;
  let clock = epoch;
  for (const one of turns) {
    clock += one.hours * hour;
    const now = new Date(clock);
    const asked = { ...policy, request: one.request };
    const plan = planRotation({ jwt: ledger }, { jwt: asked }, now)["jwt"];
    assert.ok(plan);
    check(plan, ledger, now, asked);
    ledger = parseLedger(ledgerText(rotated(ledger, plan, one, now)), "test");
  }
}

const runs = { numRuns: 400 };

describe("planRotation, over any history", () => {
  it("moves at most one generation forward in an update, and never back over what was begun", () => {
    fc.assert(
      fc.property(policies, fc.array(turn, { maxLength: 30 }), (policy, turns) => {
        played(policy, turns, (plan, before) => {
          const begun = before?.generation ?? 0;
          const allowed = plan.action === "advance" || plan.action === "create" ? begun + 1 : begun;
          assert.ok(plan.generation <= allowed);
          if (plan.action === "advance" || plan.action === "create") assert.equal(plan.generation, begun + 1);
        });
      }),
      runs,
    );
  });

  it("never begins a generation twice", () => {
    fc.assert(
      fc.property(policies, fc.array(turn, { maxLength: 30 }), (policy, turns) => {
        const begun = new Set<number>();
        played(policy, turns, (plan) => {
          if (plan.action !== "advance" && plan.action !== "create") return;
          assert.ok(!begun.has(plan.generation));
          begun.add(plan.generation);
        });
      }),
      runs,
    );
  });

  it("changes nothing where nothing is due, asked for or begun", () => {
    fc.assert(
      fc.property(policies, fc.array(turn, { maxLength: 30 }), (policy, turns) => {
        played(policy, turns, (plan, before, now, { request }) => {
          if (before?.phase !== "closed") return;
          const asked = request !== undefined && request.id !== before.request && request.kind !== "rollback";
          const due = plan.due !== null && now >= plan.due;
          assert.equal(plan.action, asked || due ? "advance" : "keep");
          if (!asked && !due) assert.deepEqual(plan.declared, [before.origin]);
        });
      }),
      runs,
    );
  });

  it("keeps what consumers use declared, except where the state doesn't hold it", () => {
    fc.assert(
      fc.property(policies, fc.array(turn, { maxLength: 30 }), (policy, turns) => {
        played(policy, turns, (plan, before, _now, { request }) => {
          if (before === undefined) return;
          const live = plan.live === before.generation ? before : before.previous;
          assert.ok(live);
          const adopts = request?.kind === "adopt" && plan.action === "advance";
          if (live.origin !== null && !adopts) assert.ok(plan.declared.includes(live.origin));
        });
      }),
      runs,
    );
  });

  it("begins no rotation inside another's grace, but for a rollback or an adoption", () => {
    fc.assert(
      fc.property(policies, fc.array(turn, { maxLength: 30 }), (policy, turns) => {
        played(policy, turns, (plan, before, _now, { request }) => {
          if (plan.action !== "advance" || before?.phase === "closed" || before?.phase === "abandoned") return;
          assert.ok(request !== undefined && request.kind !== "rotate");
        });
      }),
      runs,
    );
  });

  it("plans the same from the same, whatever else the tenant has", () => {
    fc.assert(
      fc.property(policies, policies, fc.date({ min: new Date(epoch), noInvalidDate: true }), (one, two, now) => {
        const ledger = firstLedger({}, new Date(epoch));
        const alone = planRotation({ a: ledger }, { a: one }, now);
        const together = planRotation({ b: undefined, a: ledger }, { b: two, a: one }, now);
        assert.deepEqual(together["a"], alone["a"]);
        assert.deepEqual(Object.keys(together), ["a", "b"]);
      }),
      runs,
    );
  });
});
