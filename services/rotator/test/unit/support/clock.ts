import type { Clock } from "../../../src/core/index.ts";

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** Time that passes only while everybody sleeps. The wall clock can be made to jump; the monotonic one can't. */
export class VirtualClock implements Clock {
  readonly #sleepers = new Set<Sleeper>();
  #passed = 0;
  #offset: number;
  #pumping = false;

  constructor(start = "2026-01-01T00:00:00.000Z") {
    this.#offset = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#offset + this.#passed);
  }

  monotonic(): number {
    return this.#passed;
  }

  /** Moves the wall clock, as a wrong time server would. */
  jump(milliseconds: number): void {
    this.#offset += milliseconds;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = { at: this.#passed + milliseconds, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        resolve();
      });
      if (!this.#pumping) {
        this.#pumping = true;
        setImmediate(() => {
          this.#pump();
        });
      }
    });
  }

  #pump(): void {
    const [next] = [...this.#sleepers].sort((a, b) => a.at - b.at);
    if (next === undefined) {
      this.#pumping = false;
      return;
    }
    this.#sleepers.delete(next);
    this.#passed = Math.max(this.#passed, next.at);
    next.wake();
    setImmediate(() => {
      this.#pump();
    });
  }
}
