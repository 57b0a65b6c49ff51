import { setTimeout as sleep } from "node:timers/promises";
import type { PrometheusClient } from "../support/prometheus.ts";

/** An alert that a fault fires, and its limits in seconds, with the lab's `monitoring.alertPatience`. */
export interface Expected {
  readonly alert: string;
  /** Labels that what fires has, among others. */
  readonly labels: Readonly<Record<string, string>>;
  /** From the fault until it fires: its `for`, a scrape and an evaluation (30 s each), and what the fault itself takes. */
  readonly fires: number;
  /** From the repair until it is over: the window of its condition, a scrape and an evaluation. */
  readonly ends: number;
}

/** A real fault of the running platform, and how it is taken back. */
export interface Fault {
  /** What is done, in words, for the table. */
  readonly made: string;
  readonly undone: string;
  readonly alerts: readonly Expected[];
  /** Breaks something, and resolves once it is broken. */
  make(client: PrometheusClient): Promise<void>;
  /** Repairs it; also after a `make` that failed half-way. */
  undo(): Promise<void>;
}

/** What was seen of one expected alert, in seconds; undefined where it didn't happen within the limit. */
export interface Seen extends Expected {
  readonly fault: Fault;
  readonly fired: number | undefined;
  readonly ended: number | undefined;
}

/** Whether an alert was seen to fire and to end within its limits. */
export const isSeen = ({ fired, ended }: Seen): boolean => fired !== undefined && ended !== undefined;

const matches = ({ alert, labels }: Expected, firing: readonly Readonly<Record<string, string>>[]): boolean =>
  firing.some(
    (one) => one["alertname"] === alert && Object.entries(labels).every(([name, value]) => one[name] === value),
  );

/** Waits until an alert fires, or doesn't. @returns the seconds since `from`, undefined after `limit` */
async function until(
  client: PrometheusClient,
  expected: Expected,
  state: "firing" | "over",
  limit: number,
): Promise<number | undefined> {
  const from = performance.now();
  for (;;) {
    const firing = matches(expected, await client.firing());
    const seconds = (performance.now() - from) / 1000;
    if (firing === (state === "firing")) return seconds;
    if (seconds > limit) return undefined;
    await sleep(2_000);
  }
}

/** A drill that goes on. */
export interface Drill {
  /** Resolves once the fault is taken back, or couldn't be made; never rejects. */
  readonly undone: Promise<void>;
  /**
   * What was seen, once the alerts are over, which is later.
   * Rejects if an alert fired before, or if the fault couldn't be made or taken back.
   */
  readonly seen: Promise<readonly Seen[]>;
}

/** Makes a fault, waits for its alerts, takes it back, and waits until they are over. */
export function drill(client: PrometheusClient, fault: Fault, say: (line: string) => void): Drill {
  const fired = madeAndFired(client, fault, say);
  const seen = fired.then((times) =>
    Promise.all(
      fault.alerts.map(async (one, index): Promise<Seen> => {
        const ended = await until(client, one, "over", one.ends);
        say(`${one.alert} ${ended === undefined ? `wasn't over in ${one.ends} s` : `is over after ${whole(ended)} s`}`);
        return { ...one, fault, fired: times[index], ended };
      }),
    ),
  );
  const nothing = (): undefined => undefined;
  // Whoever asks for `seen` does so when other faults have had their time: its failure must not end the process before.
  seen.catch(nothing);
  return { undone: fired.then(nothing, nothing), seen };
}

async function madeAndFired(
  client: PrometheusClient,
  fault: Fault,
  say: (line: string) => void,
): Promise<readonly (number | undefined)[]> {
  const before = await client.firing();
  for (const one of fault.alerts) {
    if (matches(one, before)) throw new Error(`${one.alert} fires before the fault: ${fault.made}`);
  }
  try {
    say(`fault: ${fault.made}`);
    await fault.make(client);
    return await Promise.all(
      fault.alerts.map(async (one) => {
        const seconds = await until(client, one, "firing", one.fires);
        say(
          `${one.alert} ${seconds === undefined ? `didn't fire in ${one.fires} s` : `fires after ${whole(seconds)} s`}`,
        );
        return seconds;
      }),
    );
  } finally {
    await fault.undo();
    say(`repaired: ${fault.undone}`);
  }
}

/** Seconds without their fractions. */
export const whole = (seconds: number): string => seconds.toFixed(0);
