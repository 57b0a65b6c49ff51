import { firstLedger, type Generation, ledgerText, parseLedger, type RotationLedger } from "@tokenshield/rotation";
import { type Begin, type ClassWork, type Ledgers, RotatorError, type StoredLedger } from "../../../src/core/index.ts";
import type { VirtualClock } from "./clock.ts";

/** A value of the world, and what stands for its digest in a ledger. */
export const digestOf = (value: string): string => Buffer.from(value).toString("hex").padStart(32, "0").slice(-32);

/** A database account with dual passwords, a store and consumers that read it when it pleases them. */
export class World {
  readonly clock: VirtualClock;
  readonly ledgers = new Map<string, { text: string; version: number }>();
  readonly history: RotationLedger[] = [];
  readonly database = { current: "v1", previous: undefined as string | undefined, generation: 1 };
  readonly published = { current: "v1", previous: "", generation: 1 };
  staged: { value: string; generation: number } | undefined;
  readonly consumers: { name: string; value: string; generation: number; stuck?: boolean }[];
  /** What went wrong that must never go wrong. */
  readonly broken: string[] = [];
  effects = 0;

  constructor(clock: VirtualClock, consumers = 2) {
    this.clock = clock;
    this.consumers = Array.from({ length: consumers }, (_, at) => ({ name: `pod-${at}`, value: "v1", generation: 1 }));
    this.ledgers.set("database", {
      text: ledgerText(firstLedger({ group: digestOf("v1") }, clock.now())),
      version: 1,
    });
  }

  ledger(): RotationLedger {
    return parseLedger(this.ledgers.get("database")?.text ?? "", "test");
  }

  /** What an update does before it starts the rotator. */
  stage(generation: number, value: string): Begin {
    this.staged = { value, generation };
    return { generation: generation as Generation, origin: generation as Generation, request: null, kind: "rotate" };
  }

  /** Consumers read what is published, unless they are stuck; the old value stays with those that don't. */
  read(): void {
    for (const consumer of this.consumers) {
      if (consumer.stuck === true) continue;
      consumer.value = this.published.current;
      consumer.generation = this.published.generation;
    }
  }

  accepts(value: string): boolean {
    return value === this.database.current || value === this.database.previous;
  }

  /** To be called after each effect: nobody may be locked out. */
  check(what: string): void {
    for (const { name, value } of this.consumers) {
      if (!this.accepts(value)) this.broken.push(`${name} is refused with ${value} after ${what}`);
    }
    if (!this.accepts(this.published.current)) this.broken.push(`what is published is refused after ${what}`);
  }
}

/** What a process does that is killed at its n-th effect: the effect may or may not have happened, and nothing follows. */
export class Killed extends Error {}

/** One process's way to the world. */
export class Hands implements Ledgers, ClassWork {
  readonly #world: World;
  readonly #killAt: number;
  readonly #moment: "before" | "after";
  readonly #delay: () => number;
  #count = 0;
  #dead = false;

  constructor(world: World, kill?: { at: number; moment: "before" | "after" }, delay: () => number = () => 1) {
    this.#world = world;
    this.#killAt = kill?.at ?? Number.POSITIVE_INFINITY;
    this.#moment = kill?.moment ?? "before";
    this.#delay = delay;
  }

  get dead(): boolean {
    return this.#dead;
  }

  async #effect<Result>(what: string, work: () => Result): Promise<Result> {
    await this.#world.clock.sleep(this.#delay());
    if (this.#dead) throw new Killed();
    this.#count += 1;
    const now = this.#count === this.#killAt;
    if (now && this.#moment === "before") this.#die();
    this.#world.effects += 1;
    const result = work();
    this.#world.check(what);
    if (now) this.#die();
    return result;
  }

  #die(): never {
    this.#dead = true;
    throw new Killed();
  }

  async read(className: string): Promise<StoredLedger | undefined> {
    await this.#world.clock.sleep(this.#delay());
    if (this.#dead) throw new Killed();
    const stored = this.#world.ledgers.get(className);
    return stored === undefined ? undefined : { ledger: parseLedger(stored.text, "test"), version: stored.version };
  }

  write(className: string, ledger: RotationLedger, version: number): Promise<number> {
    return this.#effect("a write of the ledger", () => {
      const stored = this.#world.ledgers.get(className);
      if ((stored?.version ?? 0) !== version) throw new RotatorError("CONFLICT", "another version");
      this.#world.ledgers.set(className, { text: ledgerText(ledger), version: version + 1 });
      this.#world.history.push(ledger);
      return version + 1;
    });
  }

  staged(ledger: RotationLedger, begin: Begin): Promise<Readonly<Record<string, string>>> {
    if (begin.kind === "rollback") return Promise.resolve(ledger.previous?.digests ?? {});
    const { staged } = this.#world;
    if (staged?.generation !== begin.generation) return Promise.reject(new RotatorError("NOT_STAGED", "not there"));
    return Promise.resolve({ group: digestOf(staged.value) });
  }

  #value(digest: string | undefined): string {
    const { published, staged } = this.#world;
    const found = [staged?.value, published.current, published.previous].find(
      (value) => value !== undefined && digestOf(value) === digest,
    );
    if (found === undefined) throw new RotatorError("VALUE_LOST", "no copy");
    return found;
  }

  retain(ledger: RotationLedger): Promise<void> {
    return this.#effect("retain", () => {
      const { database } = this.#world;
      const value = this.#value(ledger.digests["group"]);
      if (database.generation > ledger.generation) throw new RotatorError("STALE", "newer");
      if (database.generation === ledger.generation) return;
      if (database.previous !== undefined && database.previous !== value) {
        throw new RotatorError("DATABASE", "a grace is open");
      }
      database.previous = database.current;
      database.current = value;
      database.generation = ledger.generation;
    });
  }

  verify(ledger: RotationLedger): Promise<void> {
    return this.#effect("verify", () => {
      if (!this.#world.accepts(this.#value(ledger.digests["group"]))) throw new RotatorError("OTHER_VALUE", "refused");
    });
  }

  publish(ledger: RotationLedger): Promise<void> {
    return this.#effect("publish", () => {
      const { published } = this.#world;
      if (published.generation >= ledger.generation) return;
      const value = this.#value(ledger.digests["group"]);
      published.previous = published.current;
      published.current = value;
      published.generation = ledger.generation;
    });
  }

  async stragglers(ledger: RotationLedger): Promise<readonly string[]> {
    await this.#world.clock.sleep(this.#delay());
    if (this.#dead) throw new Killed();
    const late = this.#world.consumers.filter(({ generation }) => generation !== ledger.generation);
    this.#world.read();
    return late.map(({ name }) => name);
  }

  discard(ledger: RotationLedger): Promise<void> {
    return this.#effect("discard", () => {
      const { database } = this.#world;
      if (database.generation !== ledger.generation) throw new RotatorError("STALE", "another one");
      database.previous = undefined;
    });
  }

  close(ledger: RotationLedger): Promise<void> {
    return this.#effect("close", () => {
      const { published } = this.#world;
      if (
        published.previous !== "" &&
        published.previous !== published.current &&
        this.#world.accepts(published.previous)
      )
        throw new RotatorError("STILL_ACCEPTED", "the old one");
      if (published.generation === ledger.generation) published.previous = "";
    });
  }

  async undo(ledger: RotationLedger): Promise<void> {
    const { database } = this.#world;
    await this.#effect("the first half of an undo", () => {
      if (database.generation !== ledger.generation) return;
      const value = this.#value(ledger.previous?.digests["group"]);
      database.previous = database.current;
      database.current = value;
      database.generation = ledger.previous?.generation ?? 0;
    });
    await this.#effect("the second half of an undo", () => {
      if (database.generation === ledger.previous?.generation) database.previous = undefined;
    });
  }
}
