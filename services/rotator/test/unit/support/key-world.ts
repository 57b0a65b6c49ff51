import {
  firstLedger,
  type Generation,
  keyDigest,
  keyGroups,
  ledgerText,
  parseLedger,
  type RotationLedger,
} from "@tokenshield/rotation";
import { RotatorError } from "../../../src/core/index.ts";
import type { Process } from "../../../src/consumers/index.ts";
import type { EncryptionKeysOptions, KeyFacts, KeyRotation, TransitFacts } from "../../../src/keys/index.ts";
import type { VirtualClock } from "./clock.ts";
import { Hands } from "./hands.ts";

export const tenant = "acme";
const { kek, dek } = keyGroups;

interface DataKey {
  readonly id: string;
  wrappedBy: number;
  status: "active" | "rotating" | "retired";
  cards: number;
}

/** A key-encryption key with its versions, and a tokenizer with its data keys, which does its part whenever it is looked at. */
export class KeyWorld {
  readonly clock: VirtualClock;
  transit: TransitFacts = { latest: 1, opens: 1, wraps: 1 };
  readonly dataKeys: DataKey[] = [{ id: "dek_1", wrappedBy: 1, status: "active", cards: 1000 }];
  rotation: KeyRotation | undefined;
  stored: { text: string; version: number };
  /** What went wrong that must never go wrong. */
  readonly broken: string[] = [];
  /** While set the tokenizer wraps nothing anew and moves no card. */
  idle = false;
  /** Set: the tokenizer finds a key that doesn't open. */
  opensNothing = false;
  /** Cards that it moves at a look. */
  pace = 400;
  readonly wishes = new Set<string>();

  constructor(clock: VirtualClock) {
    this.clock = clock;
    const digests = { [kek]: keyDigest(tenant, kek, 1), [dek]: keyDigest(tenant, dek, "dek_1") };
    this.stored = { text: ledgerText(firstLedger(digests, clock.now())), version: 1 };
  }

  ledger(): RotationLedger {
    return parseLedger(this.stored.text, "test");
  }

  get active(): DataKey {
    const found = this.dataKeys.find(({ status }) => status === "active");
    if (found === undefined) throw new Error("no active data key");
    return found;
  }

  /** What the tokenizer's watch does. */
  work(): void {
    if (this.idle) return;
    for (const key of this.dataKeys) key.wrappedBy = this.transit.latest;
    const { rotation } = this;
    if (rotation?.status !== "in_progress") return;
    if (rotation.phase === "requested" && this.transit.latest > (rotation.kek_version_before ?? 0))
      this.rotation = { ...rotation, status: "completed", phase: "done" };
    if (rotation.phase !== "reencrypting") return;
    for (const key of this.dataKeys.filter(({ status }) => status === "rotating")) {
      const moved = Math.min(this.pace, key.cards);
      key.cards -= moved;
      this.active.cards += moved;
      if (key.cards > 0) continue;
      key.status = "retired";
      this.rotation = { ...rotation, status: "completed", phase: "done" };
    }
  }

  newDataKey(): void {
    const { active } = this;
    active.status = "rotating";
    this.dataKeys.push({
      id: `dek_${this.dataKeys.length + 1}`,
      wrappedBy: this.transit.latest,
      status: "active",
      cards: 0,
    });
    this.rotation = { rotation_id: "rot_dek", key_type: "DEK", status: "in_progress", phase: "reencrypting" };
  }

  check(what: string): void {
    for (const { id, wrappedBy } of this.dataKeys)
      if (wrappedBy < this.transit.opens) this.broken.push(`${id} doesn't open after ${what}`);
  }
}

/** One process's way to the world, which may be killed at an effect. */
export class KeyHands extends Hands<KeyWorld> {
  options(rotates: EncryptionKeysOptions["rotates"]): EncryptionKeysOptions {
    const world = this.world;
    return {
      tenant,
      clock: world.clock,
      rotates,
      limit: 60_000,
      look: 1000,
      transit: {
        facts: async () => {
          await this.look();
          return world.transit;
        },
        rotate: () =>
          this.effect("a rotation", () => {
            world.transit = { ...world.transit, latest: world.transit.latest + 1 };
          }),
        limit: (limits) =>
          this.effect("a limit", () => {
            world.transit = { ...world.transit, ...limits };
          }),
      },
      api: {
        newestRotation: async () => {
          await this.look();
          return world.rotation;
        },
        wrapping: async () => {
          await this.look();
          return Array.from({ length: world.transit.latest }, (_, at): KeyFacts => ({
            key_id: `kek_v${at + 1}`,
            key_type: "KEK",
            version: at + 1,
            status: "active",
            wrapped_deks: world.dataKeys.filter(({ wrappedBy }) => wrappedBy === at + 1).length,
          }));
        },
        dataKeys: async () => {
          await this.look();
          return world.dataKeys.map(({ id, status, cards }): KeyFacts => ({
            key_id: id,
            key_type: "DEK",
            version: 1,
            status,
            cards_encrypted: cards,
          }));
        },
        rotateDataKey: (once) =>
          this.effect("a new data key", () => {
            if (world.wishes.has(once)) return;
            if (world.rotation?.status === "in_progress") throw new RotatorError("KEYS", "another rotation runs");
            world.wishes.add(once);
            world.newDataKey();
          }),
        opensAll: async () => {
          await this.look();
          if (world.opensNothing) throw new RotatorError("KEYS", "a key doesn't open");
        },
      },
      consumers: {
        ask: async () => {
          await this.look();
          return [this.#process("tokenizer/10.0.0.1"), this.#process("tokenizer/10.0.0.2")];
        },
      },
    };
  }

  #process(name: string): Process {
    const { active } = this.world;
    const report = (group: string, generation: number, id: string | number) => ({
      group,
      generation,
      digest: keyDigest(tenant, group, id),
      beside: undefined,
    });
    return {
      name,
      consumer: { name: "tokenizer", url: "https://tokenizer:8090/metrics", groups: [kek, dek] },
      reports: [report(kek, active.wrappedBy, active.wrappedBy), report(dek, 1, active.id)],
    };
  }
}

/** A number as a ledger has it. */
export const generation = (number: number): Generation => number as Generation;
