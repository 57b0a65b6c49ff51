/** What a request came to: nothing where it was answered as it should be, else why not. */
export type Outcome = string | undefined;

/** What traffic has seen. */
export interface Seen {
  readonly sent: number;
  /** How often each failure was seen. */
  readonly failed: Readonly<Record<string, number>>;
  /** Milliseconds from when a request was due until its answer, of those that were answered well, ascending. */
  readonly latencies: readonly number[];
  /** When requests failed, in seconds since the beginning: the first, and the last. */
  readonly trouble: readonly [first: number, last: number] | undefined;
}

/** Requests that may be under way at the same time; more are failures of their own. */
const mostUnderWay = 400;

/** Sends requests at a steady rate, whether answers come or not, until it is stopped. */
export class Traffic {
  readonly #send: (index: number) => Promise<Outcome>;
  readonly #timer: NodeJS.Timeout;
  readonly #began = performance.now();
  readonly #failed = new Map<string, number>();
  readonly #latencies: number[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #sent = 0;
  #trouble: [number, number] | undefined;

  /** @param rate requests a second */
  constructor(rate: number, send: (index: number) => Promise<Outcome>) {
    this.#send = send;
    this.#timer = setInterval(() => {
      const wanted = Math.floor(((performance.now() - this.#began) / 1000) * rate);
      while (this.#sent < wanted) this.#one(this.#began + ((this.#sent + 1) / rate) * 1000);
    }, 2);
  }

  #one(due: number): void {
    const index = this.#sent++;
    if (this.#underWay.size >= mostUnderWay) {
      this.#note("not sent: too many wait for an answer");
      return;
    }
    const running = this.#send(index).then(
      (outcome) => {
        if (outcome === undefined) this.#latencies.push(performance.now() - due);
        else this.#note(outcome);
      },
      (error: unknown) => {
        const { code, message } = error as NodeJS.ErrnoException;
        this.#note(code ?? message);
      },
    );
    this.#underWay.add(running);
    void running.then(() => this.#underWay.delete(running));
  }

  #note(failure: string): void {
    const now = (performance.now() - this.#began) / 1000;
    this.#failed.set(failure, (this.#failed.get(failure) ?? 0) + 1);
    this.#trouble = [this.#trouble?.[0] ?? now, now];
  }

  /** Seconds since it began. */
  get age(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Ends it, and waits for the answers that are still to come. */
  async stop(): Promise<Seen> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    this.#latencies.sort((one, other) => one - other);
    return {
      sent: this.#sent,
      failed: Object.fromEntries(this.#failed),
      latencies: this.#latencies,
      trouble: this.#trouble,
    };
  }
}

/** The latency that a share of the requests stayed below, in milliseconds. */
export function quantile({ latencies }: Pick<Seen, "latencies">, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
}

/** One line of what was seen. */
export function told(what: string, seen: Seen): string {
  const failures = Object.entries(seen.failed).map(([why, count]) => `${count} × ${why}`);
  const [p50, p95] = [quantile(seen, 0.5).toFixed(1), quantile(seen, 0.95).toFixed(1)];
  return `${what}: ${seen.sent} requests, ${failures.length === 0 ? "0 failed" : `failed: ${failures.join(", ")}`}, p50 ${p50} ms, p95 ${p95} ms`;
}
