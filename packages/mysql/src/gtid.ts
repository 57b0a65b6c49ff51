import { GroupError } from "./errors.ts";

/** First and last transaction number of a run, both included. */
type Interval = readonly [first: bigint, last: bigint];

const source = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const tag = /^[a-z_][a-z0-9_]{0,31}$/;
const interval = /^(\d+)(?:-(\d+))?$/;

/** Sorts runs and joins those that overlap or touch. */
function joined(intervals: readonly Interval[]): readonly Interval[] {
  const sorted = intervals.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  const result: [bigint, bigint][] = [];
  for (const [first, last] of sorted) {
    const before = result.at(-1);
    if (before !== undefined && first <= before[1] + 1n) before[1] = last > before[1] ? last : before[1];
    else result.push([first, last]);
  }
  return result;
}

/** What is left of the runs in `from` without those in `taken`; both sorted and joined. */
function without(from: readonly Interval[], taken: readonly Interval[]): readonly Interval[] {
  const result: Interval[] = [];
  for (const [first, last] of from) {
    let next = first;
    for (const [start, end] of taken) {
      if (end < next || start > last) continue;
      if (start > next) result.push([next, start - 1n]);
      next = end + 1n;
    }
    if (next <= last) result.push([next, last]);
  }
  return result;
}

/**
 * A set of global transaction identifiers, as MySQL writes it (`uuid:1-5:7,uuid:tag:1-3`; MySQL manual, "GTID Sets").
 * Members are compared by inclusion of these sets: a count says nothing about which transactions a member has.
 */
export class GtidSet {
  static readonly empty = new GtidSet(new Map());

  /** Runs by source (`uuid`, or `uuid:tag`); no source without runs. */
  readonly #runs: ReadonlyMap<string, readonly Interval[]>;

  private constructor(runs: ReadonlyMap<string, readonly Interval[]>) {
    this.#runs = runs;
  }

  /** @throws GroupError `GTID_SYNTAX` if the text is no GTID set */
  static parse(text: string): GtidSet {
    const runs = new Map<string, Interval[]>();
    const refuse = (): never => {
      throw new GroupError(
        "GTID_SYNTAX",
        `expected a GTID set such as uuid:1-5, and was given "${text.slice(0, 200)}"`,
      );
    };
    for (const part of text.toLowerCase().split(",")) {
      const [uuid = "", ...rest] = part.split(":").map((word) => word.trim());
      if (uuid === "" && rest.length === 0) continue;
      if (!source.test(uuid) || rest.length === 0) refuse();
      let key = uuid;
      for (const word of rest) {
        const [, first, last] = interval.exec(word) ?? [];
        if (first === undefined) {
          if (!tag.test(word)) refuse();
          key = `${uuid}:${word}`;
          continue;
        }
        const run: Interval = [BigInt(first), BigInt(last ?? first)];
        if (run[0] < 1n || run[1] < run[0]) refuse();
        runs.set(key, [...(runs.get(key) ?? []), run]);
      }
    }
    return new GtidSet(new Map([...runs].map(([key, intervals]) => [key, joined(intervals)])));
  }

  union(other: GtidSet): GtidSet {
    const runs = new Map(this.#runs);
    for (const [key, intervals] of other.#runs) runs.set(key, joined([...(runs.get(key) ?? []), ...intervals]));
    return new GtidSet(runs);
  }

  /** @returns the transactions of this set that the other one lacks */
  minus(other: GtidSet): GtidSet {
    const runs = new Map<string, readonly Interval[]>();
    for (const [key, intervals] of this.#runs) {
      const left = without(intervals, other.#runs.get(key) ?? []);
      if (left.length > 0) runs.set(key, left);
    }
    return new GtidSet(runs);
  }

  includes(other: GtidSet): boolean {
    return other.minus(this).isEmpty;
  }

  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  /** How many transactions are in the set. */
  get size(): bigint {
    let total = 0n;
    for (const intervals of this.#runs.values()) for (const [first, last] of intervals) total += last - first + 1n;
    return total;
  }

  /** The text that MySQL would write; sources sorted. */
  toString(): string {
    return [...this.#runs]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, runs]) =>
        [key, ...runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))].join(":"),
      )
      .join(",");
  }
}
