import { setTimeout as sleep } from "node:timers/promises";

export interface FilesRefreshOptions {
  /** Makes the kubelet publish the pod's volumes anew. */
  readonly publish: () => Promise<void>;
  /** What the files hold, told apart by it; no secret. */
  readonly contents: () => string;
  /** Milliseconds between two times. */
  readonly pause: number;
  /** After how many milliseconds files that are still as they were are left to the driver's own time. */
  readonly limit: number;
  /** Hears of every refusal but that of the first try. */
  readonly failed: (error: unknown) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: () => number;
  /** Ends it. */
  readonly stop: AbortSignal;
}

/**
 * Has the files of the secrets volume read anew without waiting for the kubelet's next look at the pod, which comes every
 * 60 to 90 s. The driver passes over a look that comes too soon after its last reading, so the kubelet is asked until the
 * files have changed.
 */
export class FilesRefresh {
  readonly #options: FilesRefreshOptions;
  #asked = 0;

  constructor(options: FilesRefreshOptions) {
    this.#options = options;
  }

  /** Asks once, and goes on by itself. Rejects where the first try is refused. */
  async ask(): Promise<void> {
    const before = this.#options.contents();
    this.#asked += 1;
    const mine = this.#asked;
    await this.#options.publish();
    void this.#goOn(before, mine);
  }

  /** Until the files have changed, the time is over, or somebody asks again. */
  async #goOn(before: string, mine: number): Promise<void> {
    const { publish, contents, limit, failed, clock } = this.#options;
    const end = clock() + limit;
    while (await this.#waits(mine, end)) {
      try {
        if (contents() !== before) return;
        await publish();
      } catch (error) {
        failed(error);
      }
    }
  }

  /** @returns whether it is still to be gone on */
  async #waits(mine: number, end: number): Promise<boolean> {
    const { pause, clock, stop } = this.#options;
    if (clock() >= end) return false;
    await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
    return !stop.aborted && mine === this.#asked;
  }
}
