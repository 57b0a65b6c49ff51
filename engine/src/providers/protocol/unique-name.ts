import { createHash, randomBytes } from "node:crypto";

/**
 * A name made of a prefix and eight random hexadecimal digits.
 * @param seed from the engine: the same seed and prefix give the same name, so that a plan and its update agree;
 *   empty for a name that nobody can foresee
 * The digits of a seed differ from those of the Go SDK's `NewUniqueName`; only their form is shared.
 */
export function uniqueName(prefix: string, seed: Uint8Array): string {
  const bytes = seed.length === 0 ? randomBytes(4) : createHash("sha256").update(seed).update(prefix).digest();
  return prefix + bytes.subarray(0, 4).toString("hex");
}
