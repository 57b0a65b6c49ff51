import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits for what must come, however busy the machine is.
 *
 * @param limit milliseconds after which it is given up
 * @throws Error that says what didn't come
 */
export async function until(what: string, limit: number, probe: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + limit;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await sleep(50);
  }
}
