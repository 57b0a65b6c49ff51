import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../core/ports.ts";
import type { CvvSlots } from "./slots.ts";
import type { CardStore } from "./store.ts";

const perBatch = 500;
/** Batches of one round; what is left waits for the next, so that a large backlog doesn't crowd out the traffic. */
const mostBatches = 20;

/** Deletes what has had its time: verification codes and expired tokens. Every replica may run it; rows are deleted once. */
export class Sweeper {
  readonly #cards: CardStore;
  readonly #slots: CvvSlots;
  readonly #log: Log;
  readonly #interval: number;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: {
    readonly cards: CardStore;
    readonly slots: CvvSlots;
    readonly log: Log;
    readonly interval?: number;
  }) {
    this.#cards = parts.cards;
    this.#slots = parts.slots;
    this.#log = parts.log;
    this.#interval = parts.interval ?? 30_000;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#round();
      } catch (error) {
        this.#log.warn(
          { error: error instanceof Error ? error.message : "unknown" },
          "expired rows could not be deleted; the next round tries again",
        );
      }
      // Ends early when the sweeper stops.
      await sleep(this.#interval, undefined, { signal }).catch(() => undefined);
    }
  }

  async #round(): Promise<void> {
    const slots = await this.#slots.deleteExpired();
    let cards = 0;
    for (let batch = 0; batch < mostBatches && !this.#stop.signal.aborted; batch++) {
      const deleted = await this.#cards.deleteExpired(perBatch);
      cards += deleted;
      if (deleted < perBatch) break;
    }
    if (slots + cards > 0) this.#log.info({ slots, cards }, "expired rows deleted");
  }
}
