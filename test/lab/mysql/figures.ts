import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { type Kind, kinds, lossesOfThePrimary } from "./disturbances.ts";
import { type Term, turnsOf } from "./terms.ts";

/** One disturbance and what came of it. Times are in seconds. */
export interface Round {
  readonly kind: Kind;
  /** Rows a second before it. */
  readonly rate: number;
  /** The longest time without an acknowledged row. */
  readonly outage: number;
  /** Until the group was whole again. */
  readonly healed: number;
}

/** What a whole campaign found. */
export interface Campaign {
  readonly seconds: number;
  readonly verdict: {
    readonly acknowledged: number;
    /** Of them, those that members acknowledged that were asked themselves. */
    readonly direct: number;
    /** Acknowledged rows that a member lacks, by its name. */
    readonly lost: Readonly<Record<string, number>>;
    readonly terms: readonly Term[];
    readonly logins: number;
    readonly refusedLogins: number;
  };
}

/** The figures of one campaign, or of several that are kept in one file. */
export class Figures {
  readonly #file: string | undefined;
  readonly #rounds: Round[] = [];
  readonly #campaigns: Campaign[] = [];

  /** @param file holds a figure a line; those of former campaigns count, too */
  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const line of readFileSync(file, "utf8").split("\n")) {
      if (line !== "") this.#take(JSON.parse(line) as Round | Campaign);
    }
  }

  add(figure: Round | Campaign): void {
    this.#take(figure);
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(figure)}\n`);
  }

  #take(figure: Round | Campaign): void {
    if ("kind" in figure) this.#rounds.push(figure);
    else this.#campaigns.push(figure);
  }

  /** One of the kinds that there were the fewest of. */
  seldom(): Kind {
    const count = (kind: Kind): number => this.#rounds.filter((round) => round.kind === kind).length;
    const [kind = "all killed"] = shuffled(kinds).sort((one, other) => count(one) - count(other));
    return kind;
  }

  /** @returns whether all that was promised was kept, the times aside */
  tell(print: (text: string) => void): boolean {
    for (const kind of kinds) {
      const some = this.#rounds.filter((round) => round.kind === kind);
      if (some.length === 0) continue;
      print(`${kind}: ${some.length} times, outage ${spread(some.map(({ outage }) => outage))}; `);
      print(`whole after ${spread(some.map(({ healed }) => healed))}\n`);
    }
    const losses = this.#rounds.filter(({ kind }) => lossesOfThePrimary.includes(kind)).map(({ outage }) => outage);
    if (losses.length > 0)
      print(`write outage at the loss of the primary: ${losses.length} times, ${spread(losses)}\n`);
    print(
      `rows a second before the disturbances: ${spread(
        this.#rounds.map(({ rate }) => rate),
        "rows",
      )}\n`,
    );
    return this.#campaigns.map((campaign) => judge(campaign, print)).every((good) => good);
  }
}

function judge({ seconds, verdict }: Campaign, print: (text: string) => void): boolean {
  const { acknowledged, direct, lost, terms, logins, refusedLogins } = verdict;
  const shortest = Math.min(...terms.slice(1, -1).map((term) => term.seconds));
  print(
    `${acknowledged} rows acknowledged in ${seconds.toFixed(0)} s, ${(acknowledged / seconds).toFixed(0)} a second, `,
  );
  print(`outages included; ${direct} of them by members that were asked themselves\n`);
  print(`  members that lack acknowledged rows: ${JSON.stringify(lost)}\n`);
  const turns = turnsOf(terms).length;
  print(`  ${terms.length} terms of servers that took writes, the shortest ${shortest.toFixed(1)} s; `);
  print(`${turns} of them for a moment between two of another server\n`);
  print(`  ${logins} logins, ${refusedLogins} refused\n`);
  return Object.keys(lost).length === 0 && turns === 0 && refusedLogins === 0;
}

export function shuffled<Value>(list: readonly Value[]): Value[] {
  return list
    .map((value) => [Math.random(), value] as const)
    .sort(([a], [b]) => a - b)
    .map(([, value]) => value);
}

function spread(times: readonly number[], unit: "s" | "rows" = "s"): string {
  const sorted = [...times].sort((one, other) => one - other);
  // The nearest rank: a share of few figures must not leave the largest out.
  const at = (share: number): string =>
    (sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0).toFixed(unit === "s" ? 1 : 0);
  return unit === "s" ? `p50 ${at(0.5)} s, p95 ${at(0.95)} s, longest ${at(1)} s` : `p50 ${at(0.5)}, fewest ${at(0)}`;
}
