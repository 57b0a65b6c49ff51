import { InboundClient } from "../../transport/clients.ts";
import { type Outcome, type Seen, told, Traffic } from "../../transport/traffic.ts";
import { Load, Watch } from "../on-lab.ts";
import type { DrilledClass } from "./ledger-watch.ts";
import { type Site, tellersOf } from "./site.ts";

/** What cards and orders have seen. */
export interface Loaded {
  readonly lines: readonly string[];
  readonly failed: number;
}

/** Orders a second through the whole path, to the gateway and back. */
export const ordersPerSecond = 5;

/**
 * One card through HAProxy and tokenizer to the merchant, which has nothing at that path and says so: an order is paid
 * as well, which is a path of its own and has a load of its own.
 */
async function card(client: InboundClient): Promise<Outcome> {
  const { status, body } = await client.post();
  if (body.includes("4111111111111111")) return "A CARD NUMBER PASSED";
  if (status === 404 && body.includes("there is nothing here")) return undefined;
  return `${status}`;
}

/** Cards at a steady rate, and orders beside them, until they are ended. */
export class Streams {
  readonly #client: InboundClient;
  readonly #cards: Traffic;
  readonly #orders: Load;

  private constructor(client: InboundClient, cards: Traffic, orders: Load) {
    this.#client = client;
    this.#cards = cards;
    this.#orders = orders;
  }

  /** @param rate cards a second */
  static async begin({ door, proxies }: Site, rate: number): Promise<Streams> {
    const orders = await Load.begin(door, ordersPerSecond);
    const client = new InboundClient(proxies);
    return new Streams(client, new Traffic(rate, () => card(client)), orders);
  }

  async end(): Promise<Loaded> {
    const [seen] = await Promise.all([this.#cards.stop(), this.#orders.end()]);
    this.#client.close();
    const { failures, sent } = this.#orders;
    const why = [...failures].map(([answer, count]) => `${count} × ${answer}`).join(", ");
    const orders = `orders: ${sent} through the whole path, ${why === "" ? "0 failed" : `failed: ${why}`}`;
    return { lines: [told("cards", seen), orders], failed: failedOf(seen) + sum(failures.values()) };
  }
}

const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0);
const failedOf = ({ failed }: Seen): number => sum(Object.values(failed));

/** Notes when each process came over to a generation. */
export class Arrivals {
  readonly #className: DrilledClass;
  readonly #watch: Watch;
  readonly #pods: readonly string[];

  private constructor(className: DrilledClass, watch: Watch, pods: readonly string[]) {
    this.#className = className;
    this.#watch = watch;
    this.#pods = pods;
  }

  static async begin(className: DrilledClass, generation: number): Promise<Arrivals> {
    const asked = await tellersOf(className);
    return new Arrivals(
      className,
      new Watch(asked, generation),
      asked.map(({ pod }) => pod),
    );
  }

  /**
   * Ends the watch.
   * @param from when the value was written, or asked for
   * @returns seconds from there to the use by each process, in figures; the longest, Infinity where somebody never came
   */
  async end(from: Date): Promise<{ readonly line: string; readonly longest: number }> {
    await this.#watch.end();
    // One that its autoscaler has taken away in the meantime needs nothing.
    const there = new Set((await tellersOf(this.#className)).map(({ pod }) => pod));
    const pods = this.#pods.filter((pod) => there.has(pod) || this.#watch.seen.has(pod));
    const took = pods.map((pod) => {
      const seen = this.#watch.seen.get(pod);
      return { pod, seconds: seen === undefined ? Infinity : (seen.getTime() - from.getTime()) / 1000 };
    });
    took.sort((one, other) => one.seconds - other.seconds);
    const last = took.at(-1)?.seconds ?? Infinity;
    const p95 = took[Math.min(took.length - 1, Math.floor(took.length * 0.95))]?.seconds ?? Infinity;
    const each = took.map(({ pod, seconds }) => `${pod} ${said(seconds)}`).join(", ");
    return { line: `in use after p95 ${said(p95)}, max ${said(last)}: ${each}`, longest: last };
  }
}

/** Seconds in words; never where it didn't happen. */
export const said = (seconds: number): string => (Number.isFinite(seconds) ? `${seconds.toFixed(1)} s` : "never");
