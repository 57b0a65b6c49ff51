import assert from "node:assert/strict";
import { firstLedger, type Generation, phases, type RotationLedger } from "@tokenshield/rotation";
import { RotatorError } from "../../src/core/index.ts";
import { ledgerGauges, LedgerWatch } from "../../src/exporter/index.ts";
import { parseWords } from "../../src/command/index.ts";
import { VirtualClock } from "./support/clock.ts";

const start = "2026-01-01T00:00:00.000Z";
const epoch = Date.parse(start) / 1000;
const day = 86_400;
const classes = {
  database: { automatic: true, intervalDays: 90 },
  encryption: { automatic: false, intervalDays: 365 },
};

/** The second generation of a class, begun ten days after the first. */
function second(phase: RotationLedger["phase"], more: Partial<RotationLedger> = {}): RotationLedger {
  return {
    ...firstLedger({}, new Date((epoch + 10 * day) * 1000)),
    generation: 2 as Generation,
    origin: 2 as Generation,
    phase,
    previous: { generation: 1 as Generation, origin: 1 as Generation, since: start, until: null, digests: {} },
    ...more,
  };
}

function last(at: string, result: "done" | "failed"): Partial<RotationLedger> {
  return {
    last: {
      edge: "verify",
      at,
      by: "somebody",
      why: "a test",
      result,
      ...(result === "failed" ? { error: "LOGIN" } : {}),
    },
  };
}

/** A store whose ledgers, or whose refusal, a test sets. */
class Store {
  readonly ledgers = new Map<string, RotationLedger>();
  refusal: Error | undefined;

  read(className: string): Promise<{ ledger: RotationLedger; version: number } | undefined> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    const ledger = this.ledgers.get(className);
    return Promise.resolve(ledger === undefined ? undefined : { ledger, version: 1 });
  }
}

describe("what the ledgers say, told to Prometheus", () => {
  let store: Store;
  let clock: VirtualClock;
  let told: string[];
  let watch: LedgerWatch;

  beforeEach(() => {
    store = new Store();
    clock = new VirtualClock(start);
    told = [];
    watch = new LedgerWatch({
      ledgers: store,
      classes: Object.keys(classes),
      clock,
      tell: (className, error) => told.push(`${className} ${error ?? "read"}`),
    });
  });

  /** The series of a scrape by what stands before their value. */
  async function scraped(): Promise<ReadonlyMap<string, number>> {
    const text = await ledgerGauges("acme", classes, () => watch.seen).metrics();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
  }
  const of = (metric: string, className = "database"): string => `${metric}{tenant_id="acme",class="${className}"}`;

  it("is the age of the value in use, when the next one is due, and the phase as one series each", async () => {
    store.ledgers.set("database", firstLedger({}, new Date(start)));
    await watch.look();
    const series = await scraped();
    assert.equal(series.get(of("rotation_generation")), 1);
    assert.equal(series.get(of("rotation_last_success_timestamp_seconds")), epoch);
    assert.equal(series.get(of("rotation_next_due_timestamp_seconds")), epoch + 90 * day);
    const shown = phases.filter(
      (phase) => series.get(`rotation_phase{tenant_id="acme",class="database",phase="${phase}"}`) === 1,
    );
    assert.deepEqual(shown, ["closed"]);
    assert.equal([...series.keys()].filter((name) => name.startsWith("rotation_phase")).length, phases.length);
    assert.equal(series.has(of("rotation_grace_end_timestamp_seconds")), false);
  });

  it("counts from the value before until consumers have the next one, and then from that", async () => {
    const success = of("rotation_last_success_timestamp_seconds");
    for (const [phase, since] of [
      ["staged", epoch],
      ["verified", epoch],
      ["abandoned", epoch],
      ["published", epoch + 10 * day],
      ["closed", epoch + 10 * day],
    ] as const) {
      store.ledgers.set("database", second(phase));
      await watch.look();
      const series = await scraped();
      assert.equal(series.get(success), since, phase);
      assert.equal(series.get(of("rotation_generation")), 2);
    }
  });

  it("has the end of a grace while one runs, and no due time of a class that rotates on request", async () => {
    const { previous } = second("converged");
    assert.ok(previous);
    const until = "2026-01-12T00:00:00.000Z";
    store.ledgers.set("encryption", second("converged", { previous: { ...previous, until } }));
    await watch.look();
    const grace = of("rotation_grace_end_timestamp_seconds", "encryption");
    const open = await scraped();
    assert.equal(open.get(grace), Date.parse(until) / 1000);
    assert.equal(open.has(of("rotation_next_due_timestamp_seconds", "encryption")), false);
    store.ledgers.set("encryption", second("discarded", { previous: { ...previous, until } }));
    await watch.look();
    assert.equal((await scraped()).has(grace), false);
  });

  it("counts failures in a row once each, however often they are looked at, until one succeeds", async () => {
    const failures: (number | undefined)[] = [];
    for (const more of [
      last("2026-01-11T00:00:00.000Z", "failed"),
      last("2026-01-11T00:00:00.000Z", "failed"),
      last("2026-01-11T00:01:00.000Z", "failed"),
      last("2026-01-11T00:02:00.000Z", "done"),
      last("2026-01-11T00:03:00.000Z", "failed"),
    ]) {
      store.ledgers.set("database", second("retained", more));
      await watch.look();
      failures.push((await scraped()).get(of("rotation_failed_attempts")));
    }
    assert.deepEqual(failures, [1, 1, 2, 0, 1]);
  });

  it("goes on while Vault is sealed: what was read stays, with its age, and the trouble is told once", async () => {
    store.ledgers.set("database", firstLedger({}, new Date(start)));
    await watch.look();
    clock.jump(60_000);
    store.refusal = new RotatorError("STORE", "Vault is sealed");
    await watch.look();
    await watch.look();
    const sealed = await scraped();
    assert.equal(sealed.get(of("rotation_ledger_read_success")), 0);
    assert.equal(sealed.get(of("rotation_ledger_read_timestamp_seconds")), epoch);
    assert.equal(sealed.get(of("rotation_generation")), 1);
    store.refusal = undefined;
    await watch.look();
    const open = await scraped();
    assert.equal(open.get(of("rotation_ledger_read_success")), 1);
    assert.equal(open.get(of("rotation_ledger_read_timestamp_seconds")), epoch + 60);
    assert.deepEqual(told, [
      ...["database read", "encryption read"],
      ...["database STORE", "encryption STORE"],
      ...["database read", "encryption read"],
    ]);
  });

  it("says of a ledger that was never read how long that is, and nothing else", async () => {
    store.refusal = new RotatorError("STORE", "Vault is sealed");
    clock.jump(-3_600_000);
    watch = new LedgerWatch({ ledgers: store, classes: ["database"], clock, tell: () => undefined });
    clock.jump(3_600_000);
    await watch.look();
    const series = await scraped();
    assert.deepEqual(
      [...series],
      [
        [of("rotation_ledger_read_success"), 0],
        [of("rotation_ledger_read_timestamp_seconds"), epoch - 3600],
      ],
    );
  });

  it("is looked for again and again until the process ends", async () => {
    const stop = new AbortController();
    let looks = 0;
    const counted = {
      read: (): Promise<undefined> => {
        looks += 1;
        if (looks === 3) stop.abort();
        return Promise.resolve(undefined);
      },
    };
    watch = new LedgerWatch({ ledgers: counted, classes: ["database"], clock, tell: () => undefined });
    await watch.run(30_000, stop.signal);
    assert.equal(looks, 3);
    assert.equal(clock.monotonic(), 60_000);
  });

  it("is asked for by a word that stands alone", () => {
    assert.deepEqual(parseWords(["exporter"]), { kind: "exporter" });
    for (const words of [
      ["exporter", "database"],

      ["exporter", "--dry-run"],
    ]) {
      assert.throws(() => parseWords(words), RotatorError, words.join(" "));
    }
  });
});
