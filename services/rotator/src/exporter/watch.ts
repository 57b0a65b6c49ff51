import type { RotationLedger } from "@tokenshield/rotation";
import { type Clock, codeOf, type Ledgers } from "../core/index.ts";

/** What is known of one class. */
export interface Observation {
  /** As it was read last; undefined where none was ever read, or where there is none yet. */
  readonly ledger: RotationLedger | undefined;
  /** Whether the last look succeeded. */
  readonly read: boolean;
  /** When a look last succeeded; where none ever did, when the watch began. */
  readonly at: Date;
  /** Attempts of steps that failed in a row, of those that were seen since the watch began. */
  readonly failures: number;
}

export interface LedgerWatchOptions {
  readonly ledgers: Pick<Ledgers, "read">;
  /** The classes of the plan. */
  readonly classes: readonly string[];
  readonly clock: Clock;
  /** Hears of a class that can't be read, and of one that can be again: once each. @param error its code; absent if it can */
  readonly tell: (className: string, error?: string) => void;
}

/** Reads the ledgers of one tenant again and again. What can't be read stays as it was, and is said to be old. */
export class LedgerWatch {
  readonly #options: LedgerWatchOptions;
  readonly #seen: Map<string, Observation>;
  readonly #told = new Map<string, "read" | "unread">();
  #lookedAt: number;

  constructor(options: LedgerWatchOptions) {
    this.#options = options;
    const { classes, clock } = options;
    const began = { ledger: undefined, read: false, at: clock.now(), failures: 0 };
    this.#seen = new Map(classes.map((name) => [name, began]));
    this.#lookedAt = clock.monotonic();
  }

  /** What is known, by class. */
  get seen(): ReadonlyMap<string, Observation> {
    return this.#seen;
  }

  /** Milliseconds since the end of the last look at all classes, whether they could be read or not. */
  get sinceLook(): number {
    return this.#options.clock.monotonic() - this.#lookedAt;
  }

  /** Looks until it is told to stop. @param interval milliseconds between two looks */
  async run(interval: number, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.look();
      await this.#options.clock.sleep(interval, stop);
    }
  }

  /** One look at each class. Never rejects. */
  async look(): Promise<void> {
    for (const [className, before] of this.#seen) this.#seen.set(className, await this.#read(className, before));
    this.#lookedAt = this.#options.clock.monotonic();
  }

  async #read(className: string, before: Observation): Promise<Observation> {
    const { ledgers, clock } = this.#options;
    try {
      const ledger = (await ledgers.read(className))?.ledger;
      this.#tell(className, "read");
      return { ledger, read: true, at: clock.now(), failures: failuresAfter(before, ledger) };
    } catch (error) {
      this.#tell(className, "unread", codeOf(error));
      return { ...before, read: false };
    }
  }

  #tell(className: string, now: "read" | "unread", error?: string): void {
    if (this.#told.get(className) === now) return;
    this.#told.set(className, now);
    this.#options.tell(className, error);
  }
}

/** A failure that has the time of the one before is the same one. */
function failuresAfter({ ledger: before, failures }: Observation, now: RotationLedger | undefined): number {
  if (now?.last?.result !== "failed") return 0;
  return now.last.at === before?.last?.at ? failures : failures + 1;
}
