import assert from "node:assert/strict";
import { authorityGroup } from "@tokenshield/rotation";
import { EgressAuthority } from "../../src/authority/index.ts";
import { type Begin, ClassRun, type Mandate, type Outcome, rollback, RotatorError } from "../../src/core/index.ts";
import { AuthorityHands, AuthorityWorld, digestOf, times } from "./support/authority-world.ts";
import { VirtualClock } from "./support/clock.ts";
import { generation } from "./support/key-world.ts";

const limits = { step: 70_000, converge: 120_000, attempts: 3, pause: 200, look: 1_000, leaseSeconds: 15 };
const grace = 2 * 86_400;
const hour = 3_600_000;
let runs = 0;

const asBegin = (number: number): Begin => ({
  generation: generation(number),
  origin: generation(number),
  request: null,
  kind: "rotate",
});
const toConverged = (begin?: Begin): Mandate => ({ begin, until: "converged", grace: "keep" });
const toClosed: Mandate = { until: "closed", grace: "keep" };

function run(world: AuthorityWorld, hands = new AuthorityHands(world), notices: string[] = []): ClassRun {
  return new ClassRun({
    className: "bump",
    ledgers: hands,
    work: new EgressAuthority(hands.options()),
    clock: world.clock,
    records: { step: () => undefined, rotation: () => undefined, notice: (_, text) => notices.push(text) },
    limits,
    graceSeconds: grace,
    holder: `run-${(runs += 1)}`,
    why: "test",
  });
}

const code = (expected: string) => (error: unknown) => error instanceof RotatorError && error.code === expected;

/** Runs by schedule, one an hour. */
async function sweep(world: AuthorityWorld, phase: string, most = 200): Promise<Outcome> {
  for (let round = 0; round < most; round += 1) {
    const outcome = await run(world).carryOut(toClosed);
    if (outcome.ledger.phase === phase) return outcome;
    await world.clock.sleep(hour);
  }
  throw new Error(`still ${world.ledger().phase} after ${most} hours`);
}

function assertClosed(world: AuthorityWorld, number: number): void {
  assert.deepEqual(world.broken, []);
  const ledger = world.ledger();
  assert.equal(ledger.phase, "closed");
  assert.equal(ledger.lease, undefined);
  assert.equal(ledger.digests[authorityGroup], digestOf(number));
  assert.deepEqual([...world.issuers.keys()], [number]);
  assert.deepEqual([...world.keys], [number]);
  assert.equal(world.signsBy, number);
  assert.deepEqual(new Set(world.proxies.map(({ signedBy }) => signedBy)), new Set([number]));
}

describe("the egress proxies' authority", () => {
  it("changes while every application trusts whatever a proxy shows", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    const job = await run(world).carryOut(toConverged(asBegin(2)));
    assert.equal(job.ledger.phase, "retained", "the update doesn't wait for applications");
    assert.match(job.waitsFor ?? "", /load the bundle with both/);
    assert.deepEqual([[...world.issuers.keys()], world.signsBy], [[1, 2], 1], "the bundle has both, the old one signs");
    const made = world.issuers.get(2)?.getTime() ?? 0;
    assert.equal(job.waitsUntil?.getTime(), made + times.trustSeconds * 1000);
    const converged = await sweep(world, "converged");
    assert.ok(world.clock.now().getTime() >= made + times.trustSeconds * 1000);
    assert.deepEqual([...world.issuers.keys()], [1, 2], "both, in the grace");
    assert.ok(converged.waitsUntil !== undefined);
    await sweep(world, "closed");
    assertClosed(world, 2);
  });

  it("writes nothing while it waits, and asks no proxy before one signs by the new one", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    const { version } = world.stored;
    for (let round = 0; round < 5; round += 1) await run(world).carryOut(toClosed);
    assert.equal(world.stored.version, version);
    assert.equal(world.asked, 0);
    await sweep(world, "published");
    const published = world.stored.version;
    await run(world).carryOut(toClosed);
    assert.equal(world.stored.version, published, "proxies that are not renewed yet are no failure");
    assert.match((await run(world).carryOut(toClosed)).waitsFor ?? "", /outbound\/10\.0\.0\.1 \(bump\)/);
  });

  it("ends well after a kill before or after any effect", async () => {
    let killed = 0;
    for (const moment of ["before", "after"] as const) {
      for (let at = 1; at < 30; at += 1) {
        const world = new AuthorityWorld(new VirtualClock());
        const hands = new AuthorityHands(world, { at, moment });
        for (const mandate of [toConverged(asBegin(2)), ...Array.from({ length: 100 }, () => toClosed)]) {
          if (hands.dead) break;
          await run(world, hands)
            .carryOut(mandate)
            .catch(() => undefined);
          await world.clock.sleep(hour);
        }
        if (!hands.dead) continue;
        killed += 1;
        if (world.ledger().generation < 2) await run(world).carryOut(toConverged(asBegin(2)));
        await sweep(world, "closed");
        assertClosed(world, 2);
      }
    }
    assert.ok(killed > 20, `${killed} kills`);
  });

  it("fails where a proxy isn't renewed by the end of its certificate's life, and both stay valid", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    await sweep(world, "published");
    world.stuck = true;
    await world.clock.sleep(times.renewSeconds * 1000);
    await assert.rejects(run(world).carryOut(toClosed), code("NOT_CONVERGED"));
    assert.deepEqual([...world.issuers.keys()], [1, 2]);
    world.stuck = false;
    await sweep(world, "closed");
    assertClosed(world, 2);
  });

  it("is undone in place before it signs", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    assert.equal(rollback(world.ledger(), null), "undo");
    await run(world).undo();
    assert.equal(world.ledger().phase, "abandoned");
    assert.deepEqual([[...world.issuers.keys()], [...world.keys], world.signsBy], [[1], [1], 1]);
    assert.deepEqual(world.broken, []);
    await run(world).carryOut(toConverged(asBegin(3)));
    await sweep(world, "closed");
    assertClosed(world, 3);
  });

  it("comes back in the grace as a new generation, without a wait for trust", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    await sweep(world, "converged");
    const begin = rollback(world.ledger(), null);
    assert.ok(typeof begin === "object");
    assert.deepEqual([begin.generation, begin.origin], [3, 1]);
    const back = await run(world).carryOut(toConverged(begin));
    assert.equal(back.ledger.phase, "published");
    assert.equal(world.signsBy, 1);
    await sweep(world, "closed");
    assertClosed(world, 1);
    assert.equal(world.ledger().generation, 3);
    await run(world).carryOut(toConverged(asBegin(4)));
    await sweep(world, "closed");
    assertClosed(world, 4);
  });

  it("waits for nobody where the old one is known to others, says so, and is closed once proxies are renewed", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    const notices: string[] = [];
    const ended = await run(world, undefined, notices).carryOut({ until: "closed", grace: "skip" });
    assert.equal(ended.ledger.phase, "discarded");
    assert.deepEqual([[...world.issuers.keys()], [...world.keys], world.signsBy], [[2], [2], 2]);
    assert.ok(notices.some((text) => text.includes("not waited for") && text.includes("applications")));
    assert.ok(notices.some((text) => text.includes("outbound/10.0.0.1")));
    await sweep(world, "closed");
    assert.equal(world.ledger().phase, "closed");
    assert.deepEqual(new Set(world.proxies.map(({ signedBy }) => signedBy)), new Set([2]));
  });

  it("makes nothing where a new issuer would sign by itself", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    world.followsLatest = true;
    await assert.rejects(run(world).carryOut(toConverged(asBegin(2))), code("SETTINGS"));
    assert.deepEqual([...world.issuers.keys()], [1]);
  });

  it("takes a generation back that somebody deleted from Vault, and never ends what signs", async () => {
    const world = new AuthorityWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    world.issuers.delete(2);
    await assert.rejects(run(world).carryOut(toClosed), code("VALUE_LOST"));
    assert.equal(world.ledger().phase, "abandoned");
    assert.equal(world.signsBy, 1);

    const other = new AuthorityWorld(new VirtualClock());
    await run(other).carryOut(toConverged(asBegin(2)));
    await sweep(other, "converged");
    other.signsBy = 1;
    await other.clock.sleep(grace * 1000);
    other.stuck = true;
    await assert.rejects(run(other).carryOut(toClosed), code("OTHER_VALUE"));
    assert.deepEqual([...other.issuers.keys()], [1, 2]);
  });
});
