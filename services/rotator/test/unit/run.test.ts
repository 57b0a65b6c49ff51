import assert from "node:assert/strict";
import fc from "fast-check";
import type { Generation } from "@tokenshield/rotation";
import {
  ClassRun,
  type ClassWork,
  type Mandate,
  rollback,
  RotatorError,
  type StepRecord,
} from "../../src/core/index.ts";
import { VirtualClock } from "./support/clock.ts";
import { digestOf, Hands, World } from "./support/world.ts";

const limits = { step: 10_000, converge: 120_000, attempts: 3, pause: 200, look: 1_000, leaseSeconds: 15 };
const day = 86_400_000;
const toConverged: Mandate = { until: "converged", grace: "keep" };
const toClosed: Mandate = { until: "closed", grace: "keep" };
let runs = 0;

function run(world: World, hands: Hands, { work, steps }: { work?: ClassWork; steps?: StepRecord[] } = {}): ClassRun {
  return new ClassRun({
    className: "database",
    ledgers: hands,
    work: work ?? hands,
    clock: world.clock,
    records: { step: (record) => steps?.push(record), rotation: () => undefined, notice: () => undefined },
    limits,
    graceSeconds: 3600,
    holder: `run-${(runs += 1)}`,
    why: "test",
  });
}

/** What the CronJob does, until the class is closed. */
async function sweepUntilClosed(world: World): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    await world.clock.sleep(600_000);
    await run(world, new Hands(world))
      .carryOut(toClosed)
      .catch(() => undefined);
    if (["closed", "abandoned"].includes(world.ledger().phase)) return;
  }
}

function assertClosed(world: World, generation: number, value: string): void {
  const ledger = world.ledger();
  assert.deepEqual(world.broken, []);
  assert.equal(ledger.phase, "closed");
  assert.equal(ledger.generation, generation);
  assert.equal(ledger.lease, undefined);
  assert.deepEqual(ledger.digests, { group: digestOf(value) });
  assert.deepEqual(world.database, { current: value, previous: undefined, generation });
  assert.deepEqual(world.published, { current: value, previous: "", generation });
  assert.ok(world.consumers.every((consumer) => consumer.value === value));
}

describe("a run of the rotator", () => {
  it("brings a generation to converged, waits for the grace, and closes it with no further update", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const { ledger, waitsUntil } = await run(world, new Hands(world)).carryOut({ ...toConverged, begin });
    assert.equal(ledger.phase, "converged");
    assert.ok(waitsUntil !== undefined);
    assert.ok(world.accepts("v1"));
    await sweepUntilClosed(world);
    assertClosed(world, 2, "v2");
  });

  it("writes nothing where nothing is to be done", async () => {
    const world = new World(new VirtualClock());
    await run(world, new Hands(world)).carryOut(toClosed);
    assert.equal(world.effects, 0);
  });

  it("ends well after a kill before or after any effect, with nobody locked out meanwhile", async () => {
    let killed = 0;
    for (const moment of ["before", "after"] as const) {
      for (let at = 1; at < 40; at += 1) {
        const world = new World(new VirtualClock());
        const begin = world.stage(2, "v2");
        const mandate: Mandate = { begin, until: "closed", grace: "skip" };
        const hands = new Hands(world, { at, moment });
        await run(world, hands)
          .carryOut(mandate)
          .catch(() => undefined);
        if (!hands.dead) continue;
        killed += 1;
        // The update is run again, and the CronJob runs.
        await run(world, new Hands(world)).carryOut({ ...toConverged, begin });
        await sweepUntilClosed(world);
        assertClosed(world, 2, "v2");
      }
    }
    assert.ok(killed >= 24, `${killed} kills`);
  });

  it("lets one of two runs work, whatever their order, and both end well", async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 400 })), async (delays) => {
        const world = new World(new VirtualClock());
        const begin = world.stage(2, "v2");
        const delay = (): number => Number(delays.next().value);
        const one = run(world, new Hands(world, undefined, delay)).carryOut({ ...toConverged, begin });
        const other = run(world, new Hands(world, undefined, delay)).carryOut({ ...toConverged, begin });
        const results = await Promise.allSettled([one, other]);
        for (const result of results) {
          if (result.status === "rejected") assert.match((result.reason as RotatorError).code, /^(BUSY|SUPERSEDED)$/);
        }
        assert.ok(results.some(({ status }) => status === "fulfilled"));
        await sweepUntilClosed(world);
        assertClosed(world, 2, "v2");
      }),
      { numRuns: 40 },
    );
  });

  it("takes over from a run that was killed, and stops one that was only asleep", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const hands = new Hands(world);
    let first = true;
    const sleepy: ClassWork = {
      ...boundWork(hands),
      verify: async (ledger) => {
        if (first) {
          first = false;
          // Longer than its lease, with its signs of life asleep too.
          asleep.until = world.clock.monotonic() + 60_000;
          await world.clock.sleep(60_000);
        }
        await hands.verify(ledger);
      },
    };
    const asleep = { until: 0 };
    const frozen: Pick<Hands, "read" | "write"> = {
      read: (name) => hands.read(name),
      write: async (name, ledger, version) => {
        while (world.clock.monotonic() < asleep.until) await world.clock.sleep(asleep.until - world.clock.monotonic());
        return hands.write(name, ledger, version);
      },
    };
    const asleepRun = new ClassRun({
      className: "database",
      ledgers: frozen,
      work: sleepy,
      clock: world.clock,
      records: { step: () => undefined, rotation: () => undefined, notice: () => undefined },
      limits: { ...limits, step: 90_000 },
      graceSeconds: 3600,
      holder: "asleep",
      why: "test",
    }).carryOut({ ...toConverged, begin });
    const stopped = assert.rejects(asleepRun, (error) => error instanceof RotatorError && error.code === "SUPERSEDED");
    await world.clock.sleep(2_000);
    await run(world, new Hands(world)).carryOut({ ...toConverged, begin });
    await stopped;
    await sweepUntilClosed(world);
    assertClosed(world, 2, "v2");
  });

  it("loses nothing when the wall clock jumps by a day, both ways, at any step", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(-day, day), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 9 }),
        async (jumps, every) => {
          const world = new World(new VirtualClock());
          const begin = world.stage(2, "v2");
          const hands = new Hands(world, undefined, () => {
            if (world.effects % every === 0) world.clock.jump(jumps.pop() ?? 0);
            return 1;
          });
          await run(world, hands).carryOut({ ...toConverged, begin });
          for (let round = 0; round < 200 && world.ledger().phase !== "closed"; round += 1) {
            await world.clock.sleep(3_600_000);
            await run(world, new Hands(world)).carryOut(toClosed);
          }
          assertClosed(world, 2, "v2");
        },
      ),
      { numRuns: 40 },
    );
  });

  it("keeps both values valid while a consumer is stuck, says who, and goes on when it is back", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const [pod] = world.consumers;
    assert.ok(pod);
    pod.stuck = true;
    await assert.rejects(
      run(world, new Hands(world)).carryOut({ ...toConverged, begin }),
      (error) => error instanceof RotatorError && error.code === "NOT_CONVERGED" && error.message.includes("pod-0"),
    );
    assert.equal(world.ledger().phase, "published");
    assert.equal(world.ledger().last?.error, "NOT_CONVERGED");
    assert.ok(world.accepts("v1"));
    pod.stuck = false;
    await sweepUntilClosed(world);
    assertClosed(world, 2, "v2");
  });

  it("keeps the old value after the grace while somebody came back with it", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    await run(world, new Hands(world)).carryOut({ ...toConverged, begin });
    const [pod] = world.consumers;
    assert.ok(pod);
    Object.assign(pod, { stuck: true, value: "v1", generation: 1 });
    await world.clock.sleep(2 * 3_600_000);
    await assert.rejects(run(world, new Hands(world)).carryOut(toClosed));
    assert.ok(world.accepts("v1"));
    pod.stuck = false;
    await sweepUntilClosed(world);
    assertClosed(world, 2, "v2");
  });

  it("ends a value that others know at once, with who is refused by it", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const { ledger } = await run(world, new Hands(world)).carryOut({ ...toConverged, begin, grace: "skip" });
    assert.equal(ledger.phase, "closed");
    assertClosed(world, 2, "v2");
  });

  it("takes a generation back that can't be finished, and never uses its number again", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const hands = new Hands(world);
    const refusing: ClassWork = {
      ...boundWork(hands),
      verify: () => Promise.reject(new RotatorError("OTHER_VALUE", "the database has another password")),
    };
    await assert.rejects(run(world, hands, { work: refusing }).carryOut({ ...toConverged, begin }));
    assert.equal(world.ledger().phase, "abandoned");
    assert.deepEqual(world.database, { current: "v1", previous: undefined, generation: 1 });
    const next = world.stage(3, "v3");
    await run(world, new Hands(world)).carryOut({ ...toConverged, begin: next });
    await sweepUntilClosed(world);
    assertClosed(world, 3, "v3");
  });

  for (const after of ["stage", "retain", "verify", "publish", "converge"] as const) {
    it(`brings the value before back after ${after}`, async () => {
      const world = new World(new VirtualClock());
      const begin = world.stage(2, "v2");
      const hands = new Hands(world);
      const broken = new RotatorError("STORE", "no further");
      const order = ["stage", "retain", "verify", "publish", "converge"] as const;
      const nextEdge = order[order.indexOf(after) + 1];
      const stopping: ClassWork = { ...boundWork(hands) };
      if (nextEdge === "converge") Object.assign(stopping, { stragglers: () => Promise.reject(broken) });
      else if (nextEdge !== undefined) Object.assign(stopping, { [nextEdge]: () => Promise.reject(broken) });
      await run(world, hands, { work: stopping })
        .carryOut({ ...toConverged, begin })
        .catch(() => undefined);
      const way = rollback(world.ledger(), "r1");
      assert.notEqual(way, "too late");
      if (way === "undo") await run(world, new Hands(world)).undo();
      else if (typeof way === "object") await run(world, new Hands(world)).carryOut({ ...toConverged, begin: way });
      await sweepUntilClosed(world);
      assert.deepEqual(world.broken, []);
      assert.equal(world.database.current, "v1");
      assert.equal(world.database.previous, undefined);
      assert.equal(world.published.current, "v1");
      assert.ok(world.consumers.every(({ value }) => value === "v1"));
    });
  }

  it("undoes by an update's rollback, and notes whose request that was", async () => {
    const world = new World(new VirtualClock());
    const hands = new Hands(world, { at: 5, moment: "before" });
    await run(world, hands)
      .carryOut({ ...toConverged, begin: world.stage(2, "v2") })
      .catch(() => undefined);
    assert.equal(world.ledger().phase, "retained");
    const one = 1 as Generation;
    const begin = { generation: 3 as Generation, origin: one, request: "r9", kind: "rollback" } as const;
    const { ledger } = await run(world, new Hands(world)).carryOut({ ...toConverged, begin });
    assert.equal(ledger.phase, "abandoned");
    assert.equal(ledger.request, "r9");
    assert.deepEqual(world.database, { current: "v1", previous: undefined, generation: 1 });
    assert.deepEqual(world.broken, []);
  });

  it("tries a step again a bounded number of times, and records each attempt", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const hands = new Hands(world);
    const steps: StepRecord[] = [];
    const failing: ClassWork = {
      ...boundWork(hands),
      publish: () => Promise.reject(new RotatorError("STORE", "sealed")),
    };
    await assert.rejects(run(world, hands, { work: failing, steps }).carryOut({ ...toConverged, begin }));
    assert.equal(world.ledger().phase, "verified");
    const published = steps.filter(({ edge, result }) => edge === "publish" && result === "failed");
    assert.deepEqual(
      published.map(({ attempt, error }) => [attempt, error]),
      [1, 2, 3].map((attempt) => [attempt, "STORE"]),
    );
  });

  it("ends a step that hangs", async () => {
    const world = new World(new VirtualClock());
    const begin = world.stage(2, "v2");
    const hands = new Hands(world);
    const hanging: ClassWork = { ...boundWork(hands), retain: () => new Promise(() => undefined) };
    await assert.rejects(
      run(world, hands, { work: hanging }).carryOut({ ...toConverged, begin }),
      (error) => error instanceof RotatorError && error.code === "TIME_LIMIT",
    );
    assert.equal(world.ledger().phase, "staged");
  });

  it("never uses a generation twice and never goes back, whatever is killed, rolled back and begun", async () => {
    const action = fc.record({
      kind: fc.constantFrom("update", "sweep", "rollback"),
      at: fc.integer({ min: 1, max: 25 }),
      moment: fc.constantFrom("before" as const, "after" as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 8 }), async (actions) => {
        const world = new World(new VirtualClock());
        for (const { kind, at, moment } of actions) {
          const hands = new Hands(world, { at, moment });
          const ledger = world.ledger();
          const generation = (ledger.generation + 1) as Generation;
          if (kind === "update") {
            const free = ledger.phase === "closed" || ledger.phase === "abandoned";
            const begin = free ? world.stage(generation, `v${generation}`) : undefined;
            await run(world, hands)
              .carryOut({ ...toConverged, begin })
              .catch(() => undefined);
          } else if (kind === "sweep") {
            await world.clock.sleep(7_200_000);
            await run(world, hands)
              .carryOut(toClosed)
              .catch(() => undefined);
          } else {
            const way = rollback(ledger, null);
            if (way === "undo")
              await run(world, hands)
                .undo()
                .catch(() => undefined);
            else if (typeof way === "object")
              await run(world, hands)
                .carryOut({ ...toConverged, begin: way })
                .catch(() => undefined);
          }
        }
        await sweepUntilClosed(world);
        const { phase, generation } = world.ledger();
        assert.match(phase, /^(closed|abandoned)$/);
        assert.deepEqual(world.broken, []);
        assert.equal(world.database.previous, undefined);
        assert.equal(world.published.current, world.database.current);
        const numbers = world.history.map((entry) => entry.generation);
        assert.deepEqual(
          [...numbers].sort((a, b) => a - b),
          numbers,
          "generations only grow",
        );
        assert.ok(generation >= 1);
      }),
      { numRuns: 150 },
    );
  });
});

/** The steps of a process as an object whose parts can be replaced. */
function boundWork(hands: Hands): ClassWork {
  return {
    staged: (ledger, begin) => hands.staged(ledger, begin),
    retain: (ledger) => hands.retain(ledger),
    verify: (ledger) => hands.verify(ledger),
    publish: (ledger) => hands.publish(ledger),
    stragglers: (ledger) => hands.stragglers(ledger),
    discard: (ledger) => hands.discard(ledger),
    close: (ledger) => hands.close(ledger),
    undo: (ledger) => hands.undo(ledger),
  };
}
