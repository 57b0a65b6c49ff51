import { existsSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";

const month = 30 * 24 * 3_600_000;

/**
 * Removes what no clone has used for a month from a folder of the cache. Whatever is in use is marked as used now.
 *
 * @param inUse names of the folder's entries that this clone uses
 * @param now milliseconds since the epoch
 */
export function prune(folder: string, inUse: ReadonlySet<string>, now: number): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (inUse.has(name)) utimesSync(path, new Date(now), new Date(now));
    else if (now - statSync(path).mtimeMs > month) rmSync(path, { recursive: true, force: true });
  }
}
