import { phases, type RotationLedger } from "@tokenshield/rotation";
import { Gauge, Registry } from "prom-client";
import { liveOf } from "../core/index.ts";
import type { Observation } from "./watch.ts";

/** What the figures of a class need of its plan. */
export interface ClassTimes {
  readonly automatic: boolean;
  readonly intervalDays: number;
}

const day = 86_400;
const labelNames = ["tenant_id", "class"] as const;

/** What is told of a class's ledger, by name: what it says, and its value; undefined where there is none now. */
const figures: Readonly<
  Record<
    string,
    readonly [help: string, value: (ledger: RotationLedger, times: ClassTimes, seen: Observation) => number | undefined]
  >
> = {
  rotation_generation: ["The highest generation that was begun.", ({ generation }) => generation],
  rotation_last_success_timestamp_seconds: [
    "When the value that is in use was generated, in seconds since 1970: the last rotation that reached its consumers.",
    (ledger) => seconds(liveOf(ledger).since),
  ],
  rotation_next_due_timestamp_seconds: [
    "When the policy wants the next value, in seconds since 1970; absent for classes that rotate on request alone.",
    (ledger, { automatic, intervalDays }) =>
      automatic ? seconds(liveOf(ledger).since) + intervalDays * day : undefined,
  ],
  rotation_grace_end_timestamp_seconds: [
    "When the value before ends, in seconds since 1970; absent outside a grace.",
    ({ phase, previous }) =>
      phase === "converged" && typeof previous?.until === "string" ? seconds(previous.until) : undefined,
  ],
  rotation_failed_attempts: [
    "Failed attempts of a step in a row, of those that were seen since this process began; 0 once one succeeds.",
    (_, __, { failures }) => failures,
  ],
};

/**
 * The figures of a tenant's rotations, computed when they are scraped. A ledger that was read once goes on being told
 * while it can't be read; `rotation_ledger_read_*` say how old that is. No value and no digest is among them.
 *
 * @param seen what is known of each class of the plan
 */
export function ledgerGauges(
  tenant: string,
  classes: Readonly<Record<string, ClassTimes>>,
  seen: () => ReadonlyMap<string, Observation>,
): Registry {
  const registry = new Registry();
  const registers = [registry];
  const each = (tell: (labels: { tenant_id: string; class: string }, observed: Observation) => void): void => {
    for (const [className, observed] of seen()) tell({ tenant_id: tenant, class: className }, observed);
  };
  for (const [name, [help, value]] of Object.entries(figures)) {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        each((labels, observed) => {
          const times = classes[labels.class];
          if (observed.ledger === undefined || times === undefined) return;
          const now = value(observed.ledger, times, observed);
          if (now !== undefined) this.set(labels, now);
        });
      },
    });
  }
  new Gauge({
    name: "rotation_phase",
    help: "How far the generation begun last has come: 1 for the present phase, 0 for every other one.",
    labelNames: [...labelNames, "phase"],
    registers,
    collect() {
      this.reset();
      each((labels, { ledger }) => {
        if (ledger === undefined) return;
        for (const phase of phases) this.set({ ...labels, phase }, phase === ledger.phase ? 1 : 0);
      });
    },
  });
  new Gauge({
    name: "rotation_ledger_read_success",
    help: "Whether the last look at the ledger succeeded; a class that has none yet was read as well.",
    labelNames,
    registers,
    collect() {
      each((labels, { read }) => {
        this.set(labels, read ? 1 : 0);
      });
    },
  });
  new Gauge({
    name: "rotation_ledger_read_timestamp_seconds",
    help: "When the ledger was last read, in seconds since 1970; where it never was, when this process began.",
    labelNames,
    registers,
    collect() {
      each((labels, { at }) => {
        this.set(labels, at.getTime() / 1000);
      });
    },
  });
  return registry;
}

function seconds(instant: string): number {
  return Date.parse(instant) / 1000;
}
