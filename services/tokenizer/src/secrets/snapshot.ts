import { createHmac } from "node:crypto";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";

/** The largest file that is a secret; anything larger is a mistake of the mount. */
const largest = 1_048_576;

/** What the file of the value before a rotation ends with. */
const previousSuffix = "-previous";

/** Values by file name. */
export type Values = ReadonlyMap<string, string>;

/** What one look at the mounted directory gave. `unreadable` names files that are there and could not be read, or are empty. */
export interface Snapshot {
  readonly values: Values;
  readonly unreadable: readonly string[];
}

/** Name of the link that a projected volume swaps; undefined if the volume has none (files renamed one by one). */
async function generation(path: string): Promise<string | undefined> {
  try {
    return await readlink(join(path, "..data"));
  } catch (error) {
    // No link (ENOENT), or no link system at all (EINVAL): the files themselves are the volume.
    if (["ENOENT", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/**
 * Reads every secret of a directory: files whose name doesn't begin with a dot, one newline at their end left out. If the volume is
 * swapped while it is read, it is read again, so that values of two generations never mix.
 *
 * @throws the file system's error if the directory can't be read, or is swapped again and again
 */
export async function readSnapshot(path: string): Promise<Snapshot> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = await generation(path);
    const values = new Map<string, string>();
    const unreadable: string[] = [];
    for (const name of (await readdir(path)).sort()) {
      if (name.startsWith(".")) continue;
      const value = await readValue(join(path, name));
      if (value.kind === "value") values.set(name, value.text);
      else if (value.kind === "unreadable") unreadable.push(name);
    }
    if ((await generation(path)) === before) return { values, unreadable };
  }
  throw new Error("the secrets were replaced again and again while they were read");
}

type Read =
  { readonly kind: "value"; readonly text: string } | { readonly kind: "unreadable" } | { readonly kind: "gone" };

async function readValue(path: string): Promise<Read> {
  try {
    const facts = await stat(path);
    if (!facts.isFile()) return { kind: "gone" };
    // The value before is empty outside of a grace: a mount has to have every file that it names.
    if (facts.size === 0 && path.endsWith(previousSuffix)) return { kind: "gone" };
    // Any other empty file is one that is being written: no secret is empty.
    if (facts.size === 0 || facts.size > largest) return { kind: "unreadable" };
    return { kind: "value", text: (await readFile(path, "utf8")).replace(/\r?\n$/, "") };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? { kind: "gone" } : { kind: "unreadable" };
  }
}

/** One file that differs between two snapshots. Digests are keyed by the process, so they tell equal from different and no more. */
export interface Difference {
  readonly name: string;
  readonly kind: "changed" | "deleted";
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What differs from `before` to `after`. Files that can't be read now keep the value they had. */
export function differences(before: Values, after: Snapshot, digestKey: Buffer): readonly Difference[] {
  const digest = (value: string | undefined): string | undefined =>
    value === undefined ? undefined : createHmac("sha256", digestKey).update(value).digest("hex").slice(0, 32);
  const found: Difference[] = [];
  for (const [name, value] of after.values) {
    const old = before.get(name);
    if (old !== value) found.push({ name, kind: "changed", before: digest(old), after: digest(value) });
  }
  for (const [name, value] of before) {
    if (!after.values.has(name) && !after.unreadable.includes(name)) {
      found.push({ name, kind: "deleted", before: digest(value), after: undefined });
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
