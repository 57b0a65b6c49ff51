import { ledgerText, type RotationLedger } from "@tokenshield/rotation";
import { type Ledgers, RotatorError, type StoredLedger } from "../../../src/core/index.ts";
import type { VirtualClock } from "./clock.ts";
import { Killed } from "./world.ts";

/** What a process's hands need of the world that they reach into. */
export interface HandledWorld {
  readonly clock: VirtualClock;
  stored: { text: string; version: number };
  /** What others do by themselves, whenever it is looked at. */
  work(): void;
  /** Notes what went wrong that must never go wrong. */
  check(what: string): void;
  ledger(): RotationLedger;
}

/** The effect at which a process is killed, counted from 1. */
export interface Kill {
  readonly at: number;
  readonly moment: "before" | "after";
}

/** One process's way to a world and its ledger, which may be killed at an effect. */
export abstract class Hands<World extends HandledWorld> implements Ledgers {
  protected readonly world: World;
  readonly #kill: Kill | undefined;
  #count = 0;
  dead = false;

  constructor(world: World, kill?: Kill) {
    this.world = world;
    this.#kill = kill;
  }

  protected async effect<Result>(what: string, work: () => Result): Promise<Result> {
    await this.look();
    this.#count += 1;
    const now = this.#count === this.#kill?.at;
    if (now && this.#kill.moment === "before") this.#die();
    const result = work();
    this.world.check(what);
    if (now) this.#die();
    return result;
  }

  #die(): never {
    this.dead = true;
    throw new Killed();
  }

  protected async look(): Promise<void> {
    await this.world.clock.sleep(1);
    if (this.dead) throw new Killed();
    this.world.work();
  }

  async read(): Promise<StoredLedger | undefined> {
    await this.look();
    return { ledger: this.world.ledger(), version: this.world.stored.version };
  }

  write(_class: string, ledger: RotationLedger, version: number): Promise<number> {
    return this.effect("a write of the ledger", () => {
      const { stored } = this.world;
      if (stored.version !== version) throw new RotatorError("CONFLICT", "another version");
      this.world.stored = { text: ledgerText(ledger), version: version + 1 };
      return version + 1;
    });
  }
}
