import type { RotationLedger } from "@tokenshield/rotation";
import { RotatorError } from "./errors.ts";
import type { Clock, Ledgers, StoredLedger } from "./ports.ts";

export interface LeaseOptions {
  readonly className: string;
  readonly ledgers: Ledgers;
  readonly clock: Clock;
  /** Who holds it: unique to the run. */
  readonly holder: string;
  /** How long another run waits for a sign of life before it takes over, in seconds. */
  readonly seconds: number;
}

/**
 * The right to work on one class, kept in its ledger: every write names the version that it follows, so of two runs the
 * later one fails and stops. Nobody compares clocks: a lease is over once its ledger stayed the same for its time, as
 * measured by the one who waits.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #stored: StoredLedger;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(options: LeaseOptions, stored: StoredLedger) {
    this.#options = options;
    this.#stored = stored;
  }

  /**
   * Takes the lease, from a run that gave no sign of life too.
   *
   * @param stored the ledger as it was read
   * @throws RotatorError `BUSY` if its holder is alive
   */
  static async take(options: LeaseOptions, stored: StoredLedger): Promise<Lease> {
    const { holder } = options;
    const other = stored.ledger.lease;
    const read = other === undefined || other.holder === holder ? stored : await unchanged(options, stored, other);
    const lease = new Lease(options, read);
    try {
      await lease.write(read.ledger);
    } catch (error) {
      if (error instanceof RotatorError && error.code === "SUPERSEDED") throw busy(options.className);
      throw error;
    }
    return lease;
  }

  get ledger(): RotationLedger {
    return this.#stored.ledger;
  }

  /** Writes the ledger and stays its holder. @throws RotatorError `SUPERSEDED` if another run has taken over */
  write(ledger: RotationLedger): Promise<void> {
    const { holder, seconds } = this.#options;
    return this.#write({ ...ledger, lease: { holder, seconds } });
  }

  /** Writes the ledger, if it differs, and gives the lease up. */
  release(ledger: RotationLedger = this.ledger): Promise<void> {
    const free = { ...ledger };
    delete free.lease;
    return this.#write(free);
  }

  /**
   * Runs `work` and gives signs of life meanwhile.
   *
   * @param work is told by its signal when another run has taken over
   */
  async during<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { clock, seconds } = this.#options;
    const ended = new AbortController();
    const lost = new AbortController();
    const beating = (async (): Promise<void> => {
      for (;;) {
        await clock.sleep((seconds * 1000) / 3, ended.signal);
        if (ended.signal.aborted) return;
        try {
          await this.write(this.ledger);
        } catch (error) {
          // A store that is away for a moment is tried again; a run that took over is not.
          if (error instanceof RotatorError && error.code === "SUPERSEDED") {
            lost.abort(error);
            return;
          }
        }
      }
    })();
    try {
      return await work(lost.signal);
    } finally {
      ended.abort();
      await beating;
    }
  }

  #write(ledger: RotationLedger): Promise<void> {
    const { className, ledgers } = this.#options;
    const next = this.#writing.then(async () => {
      try {
        this.#stored = { ledger, version: await ledgers.write(className, ledger, this.#stored.version) };
      } catch (error) {
        if (!(error instanceof RotatorError && error.code === "CONFLICT")) throw error;
        // A write whose answer was lost is one's own.
        const read = await ledgers.read(className);
        if (read === undefined || JSON.stringify(read.ledger) !== JSON.stringify(ledger)) {
          throw new RotatorError("SUPERSEDED", `${className}: another run has taken over`, { cause: error });
        }
        this.#stored = read;
      }
    });
    this.#writing = next.catch(() => undefined);
    return next;
  }
}

const busy = (className: string): RotatorError =>
  new RotatorError("BUSY", `${className}: another run works on it; this one changes nothing`);

/** Waits for the time of another's lease. @returns the ledger, if it stayed the same. @throws RotatorError `BUSY` if not */
async function unchanged(
  { className, ledgers, clock }: LeaseOptions,
  stored: StoredLedger,
  { seconds }: { readonly seconds: number },
): Promise<StoredLedger> {
  const end = clock.monotonic() + seconds * 1000;
  while (clock.monotonic() < end) {
    await clock.sleep(Math.min(1_000, Math.max(1, end - clock.monotonic())));
    const read = await ledgers.read(className);
    if (read?.version !== stored.version) throw busy(className);
  }
  return stored;
}
