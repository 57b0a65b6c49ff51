import { createHash, createHmac } from "node:crypto";
import { sortedJson } from "./sorted-json.ts";

/**
 * The keyed digest of a group's generated values: HMAC-SHA-256, the first 128 bits in hex.
 *
 * The key is the value itself, which holds at least 200 bits of chance, and the message names tenant and group. So
 * whoever holds the value can compute the digest without a further secret, nobody else can test guesses, and equal
 * values in two places can't be told to be equal. Not for secrets that people choose.
 * @param tenant name of the tenant
 * @param group name of the group
 * @param values the generated values by field
 */
export function valueDigest(tenant: string, group: string, values: Readonly<Record<string, string>>): string {
  return createHmac("sha256", sortedJson(values)).update(`tokenshield/${tenant}/${group}`).digest("hex").slice(0, 32);
}

/**
 * What stands for a key in a ledger and in what its users tell: a digest of its name, which is no secret, so that all
 * classes are compared in the same way.
 * @param tenant name of the tenant
 * @param group one of `keyGroups`, or `authorityGroup`
 * @param id number of a version of the key-encryption key, id of a data key, or name of an authority
 */
export function keyDigest(tenant: string, group: string, id: string | number): string {
  return createHash("sha256").update(`tokenshield/${tenant}/${group}/${id}`).digest("hex").slice(0, 32);
}
