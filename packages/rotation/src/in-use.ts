import { valueDigest } from "./digest.ts";

/**
 * The series in which a process tells what it works with, for a rotation to see that everybody has come over: labels
 * `tenant_id`, `secret_group` and `digest`, the value is the generation. A group that the process reads and doesn't work
 * with yet has no series.
 */
export const inUseSeries = "secret_in_use_generation";

/** The labels of `inUseSeries`. */
export const inUseLabels = ["tenant_id", "secret_group", "digest"] as const;

/** A group as its readers have it: one file a generated field, and one with the generation. */
export interface GroupFiles {
  readonly group: string;
  /** The file with the generation. */
  readonly generation: string;
  /** The file of each generated field. */
  readonly fields: Readonly<Record<string, string>>;
}

/** What a process says of one group. */
export interface InUse {
  readonly group: string;
  readonly generation: number;
  /** See `valueDigest`. */
  readonly digest: string;
}

/**
 * @param read gives a file's text, undefined or empty where there is none
 * @returns what is to be said of a group's files; undefined while they are not all there
 */
export function inUseOf(
  tenant: string,
  files: GroupFiles,
  read: (file: string) => string | undefined,
): InUse | undefined {
  const generation = Number(read(files.generation) ?? "");
  const values = Object.entries(files.fields).map(([field, file]) => [field, read(file) ?? ""] as const);
  const whole = Number.isSafeInteger(generation) && generation >= 1 && values.every(([, value]) => value !== "");
  if (!whole) return undefined;
  return { group: files.group, generation, digest: valueDigest(tenant, files.group, Object.fromEntries(values)) };
}
