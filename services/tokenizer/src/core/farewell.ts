import { setTimeout as sleep } from "node:timers/promises";

/** How long callers are told that their connections end before these are closed, in milliseconds. */
const longest = 2_000;
const betweenLooks = 20;

/**
 * The time in which a listener that stops still answers, and says with each answer that the connection ends. A caller whose
 * connection is closed under a request loses that request (RFC 9112 section 9.6), and it can't know before it is told.
 *
 * @param open how many connections there are; with none left there is nobody to tell
 * @param limit milliseconds that the whole stop may take, of which this takes a fifth at most
 */
export async function farewell(open: () => number, limit: number): Promise<void> {
  const end = performance.now() + Math.min(longest, limit / 5);
  while (open() > 0 && performance.now() < end) await sleep(betweenLooks);
}
