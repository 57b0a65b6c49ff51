import { valueDigest } from "./digest.ts";
import { previousSuffix } from "./paths.ts";

/**
 * The series in which a process tells what it works with, for a rotation to see that everybody has come over: labels
 * `tenant_id`, `secret_group` and `digest`, the value is the generation. A group that the process reads and doesn't work
 * with yet has no series.
 */
export const inUseSeries = "secret_in_use_generation";

/**
 * The series in which a process tells that it accepts another value of a group beside the one that it works with: the
 * next one, before anybody uses it, or the one before, during a grace. The value is 1.
 */
export const besideSeries = "secret_beside_accepted";

/** The labels of `inUseSeries` and `besideSeries`. */
export const inUseLabels = ["tenant_id", "secret_group", "digest"] as const;

/** What the tokenizer's keys are called where they are told and in ledgers, in the order in which they change. */
export const keyGroups = { kek: "encryption_kek", dek: "encryption_dek" } as const;

/** What the authority that the egress proxies' own ones are signed by is called where it is told and in its ledger. */
export const authorityGroup = "bump";

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
  /** The digest of the value that is accepted beside it; undefined where there is none. */
  readonly beside: string | undefined;
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
  const digest = digestOf(tenant, files, read);
  if (!Number.isSafeInteger(generation) || generation < 1 || digest === undefined) return undefined;
  const beside = digestOf(tenant, files, (file) => read(`${file}-${previousSuffix}`));
  return { group: files.group, generation, digest, beside };
}

function digestOf(
  tenant: string,
  { fields, group }: GroupFiles,
  read: (file: string) => string | undefined,
): string | undefined {
  const values = Object.entries(fields).map(([field, file]) => [field, read(file) ?? ""] as const);
  return values.some(([, value]) => value === "") ? undefined : valueDigest(tenant, group, Object.fromEntries(values));
}
