import { giveDriver, hasDriver } from "../../faults/watchers.ts";
import { lab } from "../../support/lab.ts";
import { goneState, lostState, madeAgain } from "./adopt.ts";
import type { Drill } from "./drill.ts";
import { engineKilled, kills } from "./kills.ts";
import { compromised, rollbackInGrace, rotationUnderLoad } from "./load.ts";
import { restarted, sealed, stuck, withoutDriver } from "./outages.ts";

export { Command } from "./command.ts";
export type { Drill } from "./drill.ts";
export { quiet, site, type Site } from "./site.ts";
export { ordersPerSecond } from "./streams.ts";

/** Takes back what a campaign that was ended half-way has left, where there was one. */
export async function repair(): Promise<void> {
  await lab(["up"]);
  if (await hasDriver()) await giveDriver();
}

/** Seconds from the store's write to the use by processes that are told of it. */
const nudgedWithin = 5;

/** Every drill, in order. */
export const drills: Readonly<Record<string, (drill: Drill) => Promise<void>>> = {
  load: (drill) => rotationUnderLoad(drill, "database"),
  nudged: (drill) => rotationUnderLoad(drill, "jwt", nudgedWithin),
  kills,
  engine: engineKilled,
  rollback: async (drill) => {
    await rollbackInGrace(drill, "jwt");
    await rollbackInGrace(drill, "database");
  },
  compromised,
  sealed,
  csi: withoutDriver,
  stuck,
  restart: restarted,
  adopt: lostState,
  gone: goneState,
  again: madeAgain,
};
