import assert from "node:assert/strict";
import { keyDigest, keyGroups } from "@tokenshield/rotation";
import { type Begin, ClassRun, type Mandate, RotatorError } from "../../src/core/index.ts";
import { EncryptionKeys, type KeyKind } from "../../src/keys/index.ts";
import { VirtualClock } from "./support/clock.ts";
import { generation, KeyHands, KeyWorld, tenant } from "./support/key-world.ts";

const limits = { step: 70_000, converge: 120_000, attempts: 3, pause: 200, look: 1_000, leaseSeconds: 15 };
const { kek, dek } = keyGroups;
const both: readonly KeyKind[] = ["kek", "dek"];
const week = 7 * 86_400;
let runs = 0;

const asBegin = (number: number, asked?: string): Begin => ({
  generation: generation(number),
  origin: generation(number),
  request: null,
  kind: "rotate",
  ...(asked === undefined ? {} : { asked }),
});
const toConverged = (begin?: Begin): Mandate => ({ begin, until: "converged", grace: "keep" });
const toClosed: Mandate = { until: "closed", grace: "keep" };

function run(world: KeyWorld, hands = new KeyHands(world), rotates = both): ClassRun {
  return new ClassRun({
    className: "encryption",
    ledgers: hands,
    work: new EncryptionKeys(hands.options(rotates)),
    clock: world.clock,
    records: { step: () => undefined, rotation: () => undefined, notice: () => undefined },
    limits,
    graceSeconds: week,
    holder: `run-${(runs += 1)}`,
    why: "test",
  });
}

const code = (expected: string) => (error: unknown) => error instanceof RotatorError && error.code === expected;

/** Everything is under the newest version and key, and nothing older opens. */
function assertClosed(world: KeyWorld, version: number, dataKey: string): void {
  assert.deepEqual(world.broken, []);
  assert.equal(world.ledger().phase, "closed");
  assert.equal(world.ledger().lease, undefined);
  assert.deepEqual(world.transit, { latest: version, opens: version, wraps: version });
  assert.equal(world.active.id, dataKey);
  assert.ok(world.dataKeys.every(({ wrappedBy }) => wrappedBy === version));
  assert.ok(world.dataKeys.every(({ status, cards }) => status === "active" || (status === "retired" && cards === 0)));
  assert.deepEqual(world.ledger().digests, {
    [kek]: keyDigest(tenant, kek, version),
    [dek]: keyDigest(tenant, dek, dataKey),
  });
}

describe("the keys that encrypt", () => {
  it("change both: every key is wrapped anew before the grace, the limit rises after it", async () => {
    const world = new KeyWorld(new VirtualClock());
    const { ledger, waitsUntil } = await run(world).carryOut(toConverged(asBegin(2)));
    assert.equal(ledger.phase, "converged");
    assert.equal(waitsUntil?.getTime(), Date.parse(ledger.previous?.until ?? ""));
    assert.deepEqual(world.transit, { latest: 2, opens: 1, wraps: 2 }, "the older one opens in the grace");
    await world.clock.sleep(week * 1000);
    await run(world).carryOut(toClosed);
    assertClosed(world, 2, "dek_2");
  });

  it("end well after a kill before or after any effect, and no key is ever left that doesn't open", async () => {
    let killed = 0;
    for (const moment of ["before", "after"] as const) {
      for (let at = 1; at < 40; at += 1) {
        const world = new KeyWorld(new VirtualClock());
        const hands = new KeyHands(world, { at, moment });
        await run(world, hands)
          .carryOut(toConverged(asBegin(2)))
          .catch(() => undefined);
        if (!hands.dead) continue;
        killed += 1;
        await run(world).carryOut(toConverged(asBegin(2)));
        await world.clock.sleep(week * 1000);
        const second = new KeyHands(world, { at: 1 + (at % 5), moment });
        await run(world, second)
          .carryOut(toClosed)
          .catch(() => undefined);
        await run(world).carryOut(toClosed);
        assertClosed(world, 2, "dek_2");
      }
    }
    assert.ok(killed > 10, `${killed} kills`);
  });

  const rotations: readonly (readonly [string, readonly KeyKind[], number, string])[] = [
    ["the key-encryption key alone", ["kek"], 2, "dek_1"],
    ["the data key alone", ["dek"], 1, "dek_2"],
  ];
  for (const [name, rotates, version, dataKey] of rotations) {
    it(`change ${name}`, async () => {
      const world = new KeyWorld(new VirtualClock());
      await run(world, new KeyHands(world), rotates).carryOut(toConverged(asBegin(2)));
      await world.clock.sleep(week * 1000);
      await run(world, new KeyHands(world), rotates).carryOut(toClosed);
      assertClosed(world, version, dataKey);
    });
  }

  it("wait where the tokenizer wraps nothing anew: the limit stays, and the next run goes on", async () => {
    const world = new KeyWorld(new VirtualClock());
    world.idle = true;
    await assert.rejects(
      run(world, new KeyHands(world), ["kek"]).carryOut(toConverged(asBegin(2))),
      code("NOT_CONVERGED"),
    );
    assert.equal(world.ledger().phase, "retained");
    assert.equal(world.transit.opens, 1);
    world.idle = false;
    await run(world, new KeyHands(world), ["kek"]).carryOut(toClosed);
    assert.equal(world.ledger().phase, "converged");
  });

  it("end nothing after the grace while cards are left under the older data key", async () => {
    const world = new KeyWorld(new VirtualClock());
    world.pace = 0;
    await run(world).carryOut(toConverged(asBegin(2)));
    await world.clock.sleep(week * 1000);
    await assert.rejects(run(world).carryOut(toClosed), /dek_1 \(encrypts 1000 cards\)/);
    assert.equal(world.transit.opens, 1);
    await assert.rejects(run(world).carryOut({ until: "closed", grace: "skip" }), code("NOT_CONVERGED"));
    world.pace = 1000;
    await run(world).carryOut(toClosed);
    assertClosed(world, 2, "dek_2");
  });

  it("take the limit back at once where a key doesn't open any more", async () => {
    const world = new KeyWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    await world.clock.sleep(week * 1000);
    world.opensNothing = true;
    await assert.rejects(run(world).carryOut(toClosed), code("KEYS"));
    assert.equal(world.transit.opens, 1);
    assert.equal(world.ledger().phase, "converged");
    world.opensNothing = false;
    await run(world).carryOut(toClosed);
    assertClosed(world, 2, "dek_2");
  });

  it("let the version before open again after its end, for another grace", async () => {
    const world = new KeyWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    await assert.rejects(run(world).reopen(), code("OUT_OF_ORDER"), "it opens still");
    await world.clock.sleep(week * 1000);
    await run(world).carryOut(toClosed);
    const { ledger } = await run(world).reopen();
    assert.equal(ledger.phase, "converged");
    assert.deepEqual(world.transit, { latest: 2, opens: 1, wraps: 2 });
    await run(world).carryOut(toClosed);
    assert.equal(world.transit.opens, 1, "in the grace");
    await world.clock.sleep(week * 1000);
    await run(world).carryOut(toClosed);
    assertClosed(world, 2, "dek_2");
  });

  it("change for a request of the API, in an open grace too, and make no data key for it", async () => {
    const world = new KeyWorld(new VirtualClock());
    await run(world).carryOut(toConverged(asBegin(2)));
    world.pace = 1000;
    world.work();
    world.rotation = {
      rotation_id: "rot_1",
      key_type: "KEK",
      status: "in_progress",
      phase: "requested",
      kek_version_before: 2,
    };
    await assert.rejects(run(world).carryOut(toConverged(asBegin(3))), code("OUT_OF_ORDER"));
    const begin: Begin = { ...asBegin(3, "rot_1"), over: "an open grace" };
    await run(world).carryOut({ ...toClosed, begin });
    assert.equal(world.transit.latest, 3);
    assert.equal((world.rotation as { status: string }).status, "completed", "the API's record");
    await world.clock.sleep(week * 1000);
    await run(world).carryOut(toClosed);
    assertClosed(world, 3, "dek_2");
    assert.equal(world.ledger().request, null, "what an update asked for last");
    await run(world).carryOut(toConverged(asBegin(4)));
    assert.equal(world.active.id, "dek_3", "an update's rotation after it changes both");
  });

  it("make no version for a request where somebody has made it already", async () => {
    const world = new KeyWorld(new VirtualClock());
    world.idle = true;
    world.rotation = {
      rotation_id: "rot_1",
      key_type: "KEK",
      status: "in_progress",
      phase: "requested",
      kek_version_before: 1,
    };
    world.transit = { ...world.transit, latest: 2 };
    const staged = await new EncryptionKeys(new KeyHands(world).options(both)).staged(
      world.ledger(),
      asBegin(2, "rot_1"),
    );
    assert.equal(staged[kek], keyDigest(tenant, kek, 2));
  });

  it("are not rolled back to a version that was replaced", async () => {
    const world = new KeyWorld(new VirtualClock());
    const keys = new EncryptionKeys(new KeyHands(world).options(both));
    await assert.rejects(keys.staged(world.ledger(), { ...asBegin(2), kind: "rollback" }), code("OUT_OF_ORDER"));
  });
});
