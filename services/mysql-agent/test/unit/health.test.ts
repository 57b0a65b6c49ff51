import assert from "node:assert/strict";
import fc from "fast-check";
import { alive, ready, started, type Vitals, working } from "../../src/health.ts";
import type { Errand, OwnState, UpView } from "../../src/members.ts";

const limits = { silence: 90_000, round: 15_000 };
const up = (state: OwnState, more: Partial<UpView> = {}): UpView => ({
  kind: "up",
  uuid: "u0",
  state,
  role: "secondary",
  executed: "",
  received: "",
  purged: "",
  view: [{ uuid: "u0", host: "h0", port: 3306, state, role: "secondary" }],
  clone: undefined,
  cloned: false,
  certificate: "present",
  ...more,
});
const down = { kind: "down", why: "no connection" } as const;
const vitals = (more: Partial<Vitals>): Vitals => ({
  view: up("online"),
  lastAnswer: up("online"),
  silent: 0,
  sinceRound: 0,
  errand: undefined,
  ...more,
});
const forever = 1e9;

describe("liveness of a server", () => {
  it("fails where a server that was online has hung for long, and not before", () => {
    assert.equal(alive(vitals({ view: down, silent: limits.silence }), limits).ok, true);
    assert.equal(alive(vitals({ view: down, silent: limits.silence + 1 }), limits).ok, false);
  });

  it("never fails for a member that recovers, clones, gives a clone, is out of its group or has not answered yet", () => {
    const spared: fc.Arbitrary<Partial<Vitals>> = fc.oneof(
      fc.constantFrom<OwnState>("offline", "recovering", "error").map((state) => ({ lastAnswer: up(state) })),
      fc.constantFrom("donor" as const, "recipient" as const).map((clone) => ({ lastAnswer: up("online", { clone }) })),
      fc.constantFrom<Errand>("bootstrap", "join", "clone", "stop", "hand-over").map((errand) => ({ errand })),
      fc.constant({ lastAnswer: undefined }),
      fc.constant({ lastAnswer: { kind: "unsettled" as const, why: "refuses" } }),
    );
    fc.assert(
      fc.property(spared, fc.nat(forever), (more, silent) => {
        assert.equal(alive(vitals({ view: down, silent, ...more }), limits).ok, true);
      }),
    );
  });

  it("never fails for a server that answers, whatever it says", () => {
    const views = [up("error"), up("recovering"), up("offline"), { kind: "unsettled", why: "refuses" } as const];
    for (const view of views) assert.equal(alive(vitals({ view }), limits).ok, true);
  });
});

describe("the other probes", () => {
  it("hold startup back until the server answers once, but not while it is cloned", () => {
    assert.equal(started(vitals({ view: down, lastAnswer: undefined })).ok, false);
    assert.equal(started(vitals({ view: down, lastAnswer: undefined, errand: "clone" })).ok, true);
    assert.equal(started(vitals({ view: down })).ok, true);
  });

  it("call a member ready only in a group with a quorum, seen lately", () => {
    assert.equal(ready(vitals({}), limits).ok, true);
    assert.equal(ready(vitals({ sinceRound: limits.round + 1 }), limits).ok, false);
    assert.equal(ready(vitals({ view: up("recovering") }), limits).ok, false);
    const seen = (uuid: string, state: "online" | "unreachable"): UpView["view"][number] => ({
      uuid,
      host: uuid,
      port: 3306,
      state,
      role: "secondary",
    });
    const isolated = up("online", {
      view: [seen("u0", "online"), seen("u1", "unreachable"), seen("u2", "unreachable")],
    });
    assert.equal(ready(vitals({ view: isolated }), limits).ok, false);
    const half = up("online", { view: [seen("u0", "online"), seen("u1", "unreachable")] });
    assert.equal(ready(vitals({ view: half }), limits).ok, false);
  });

  it("notice an agent whose rounds have stopped", () => {
    assert.equal(working(vitals({ sinceRound: limits.round }), limits).ok, true);
    assert.equal(working(vitals({ sinceRound: limits.round * 6 + 1 }), limits).ok, false);
  });
});
