import { after, type RotationLedger } from "@tokenshield/rotation";
import { type Begin, RotatorError } from "../core/index.ts";
import { askedNow } from "../keys/index.ts";
import type { PlannedClass } from "../settings.ts";
import { adoptAuthority, adoptKeys } from "./adopt.ts";
import { classNamed, keysOf, type Parts } from "./parts.ts";

/** Whether the first ledger of a class is written by the rotator, as no update generates its first value. */
export function writesFirstLedger({ kind }: PlannedClass): boolean {
  return kind === "keys" || kind === "authority";
}

/**
 * Writes the first ledger of a class whose first value Vault and the tokenizer have made.
 *
 * @returns whether it has one now; that of keys can't be written without a word of the tokenizer
 */
export async function ensureLedger(parts: Parts, className: string, why: string, now: Date): Promise<boolean> {
  const planned = classNamed(parts.plan, className);
  if (!writesFirstLedger(planned) || (await parts.ledgers.read(className)) !== undefined) return true;
  if (planned.kind === "authority") return (await adoptAuthority(parts, className, why, now)).generation > 0;
  return (await whereTold(() => adoptKeys(parts, className, why, now))) !== undefined;
}

/** Who comes by schedule comes again: a tokenizer that gives no answer now is no failure of the class. */
async function whereTold<Told>(ask: () => Promise<Told>): Promise<Told | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof RotatorError && error.code === "KEYS") return undefined;
    throw error;
  }
}

/**
 * What the management API was asked for and has recorded: the beginning of a rotation, once.
 *
 * @returns undefined where nothing is asked for, or what is under way has to end first
 */
export async function requestOf(parts: Parts, className: string, ledger: RotationLedger): Promise<Begin | undefined> {
  if (classNamed(parts.plan, className).kind !== "keys") return undefined;
  if (!["closed", "abandoned", "converged"].includes(ledger.phase)) return undefined;
  const asked = await whereTold(() => keysOf(parts, className).requested());
  if (asked === undefined || asked.rotation_id === ledger.asked?.id) return undefined;
  const generation = after(ledger.generation);
  return {
    generation,
    origin: generation,
    request: null,
    asked: asked.rotation_id,
    kind: "rotate",
    over: "an open grace",
  };
}

/** Whether a rotation was begun for a request that the API has given up since, and nothing was made for it yet. */
export async function isWithdrawn(parts: Parts, className: string): Promise<boolean> {
  if (classNamed(parts.plan, className).kind !== "keys") return false;
  const ledger = (await parts.ledgers.read(className))?.ledger;
  const id = ledger?.phase === "staged" ? askedNow(ledger) : undefined;
  if (id === undefined) return false;
  const asked = await whereTold(async () => ({ now: await keysOf(parts, className).requested() }));
  return asked !== undefined && asked.now?.rotation_id !== id;
}
