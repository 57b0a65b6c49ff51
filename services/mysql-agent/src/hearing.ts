import type { Report } from "./members.ts";

interface Heard {
  readonly report: Report;
  /** When this agent first saw this report, on its own monotonic clock, in milliseconds. */
  readonly at: number;
}

/**
 * What the other agents said, and how long ago it was news here. Ages are taken from when a report first appeared on
 * this agent's own monotonic clock, never from a time that another machine wrote: clocks of machines differ.
 */
export class Hearing {
  readonly #heard = new Map<string, Heard>();
  readonly #patience: number;

  /** @param patience how long a report counts, in milliseconds */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /**
   * Takes in what was read. The first sight of a member counts as news only the second time that it says something
   * else: what lay there before this agent started may be old.
   */
  take(reports: ReadonlyMap<string, Report>, now: number): void {
    for (const [name, report] of reports) {
      const before = this.#heard.get(name);
      if (before === undefined) {
        this.#heard.set(name, { report, at: Number.NEGATIVE_INFINITY });
      } else if (before.report.incarnation !== report.incarnation || before.report.sequence !== report.sequence) {
        this.#heard.set(name, { report, at: now });
      }
    }
    for (const name of this.#heard.keys()) if (!reports.has(name)) this.#heard.delete(name);
  }

  /** @returns the reports that are fresh at `now`, by member */
  fresh(now: number): ReadonlyMap<string, Report> {
    return new Map(
      [...this.#heard]
        .filter(([, { at }]) => now - at <= this.#patience)
        .map(([name, { report }]) => [name, report] as const),
    );
  }
}
