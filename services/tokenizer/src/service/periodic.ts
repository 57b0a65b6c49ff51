import type { Log } from "../core/ports.ts";
import { errorFields } from "../telemetry/index.ts";

/** Work that is done again and again until its owner stops it. A failure is logged, and the next round tries again. */
export class Periodic {
  readonly #name: string;
  readonly #work: () => Promise<void>;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;

  /** @param interval milliseconds between the beginnings of two rounds; one that still runs isn't begun again */
  constructor(name: string, interval: number, log: Log, work: () => Promise<void>) {
    this.#name = name;
    this.#work = work;
    this.#log = log;
    this.#timer = setInterval(() => {
      this.#running ??= this.#round();
    }, interval);
  }

  /** No round begins any more; resolves when the running one has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #round(): Promise<void> {
    try {
      await this.#work();
    } catch (error) {
      this.#log.warn({ work: this.#name, err: errorFields(error) }, "periodic work failed; the next round tries again");
    } finally {
      this.#running = undefined;
    }
  }
}
