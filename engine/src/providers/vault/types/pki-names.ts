import { createHash } from "node:crypto";
import { isJsonMap } from "../../protocol/value.ts";
import type { JsonMap } from "../../protocol/value.ts";
import { VaultError } from "../client.ts";
import type { VaultClient } from "../client.ts";
import type { Operation } from "../vault-type.ts";

/**
 * The name that a new issuer or key gets where the program gives none. Vault generates as often as it is asked; by the
 * name a create whose answer was lost is found again. No output and no input shows it.
 */
export function ownName({ urn, inputs }: Pick<Operation, "urn" | "inputs">): string {
  const sorted = Object.entries(inputs).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `pulumi-${createHash("sha256")
    .update(JSON.stringify([urn, sorted]))
    .digest("hex")
    .slice(0, 16)}`;
}

/** Generates under a name, or without one where an older life of the resource still has it. */
export async function generate(
  vault: VaultClient,
  path: string,
  body: JsonMap,
  [field, name]: readonly [string, string],
): Promise<JsonMap> {
  if (body[field] !== undefined) {
    return vault.write(path, body);
  }
  try {
    return await vault.write(path, { ...body, [field]: name });
  } catch (error) {
    if (error instanceof VaultError && error.status === 400 && error.message.includes("already in use")) {
      return vault.write(path, body);
    }
    throw error;
  }
}

/** @returns the id of the mount's issuer or key that has a name, or undefined */
export async function idOfNamed(
  vault: VaultClient,
  mount: string,
  [list, field, name]: readonly ["issuers" | "keys", string, string],
): Promise<string | undefined> {
  const listed = await vault.list(`${mount}/${list}`);
  const about = isJsonMap(listed["key_info"]) ? Object.entries(listed["key_info"]) : [];
  return about.find(([, info]) => isJsonMap(info) && info[field] === name)?.[0];
}
