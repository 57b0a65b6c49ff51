import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "./core/index.ts";

/** The machine's clocks. */
export const machineClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: async (milliseconds, signal) => {
    try {
      await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  },
};
