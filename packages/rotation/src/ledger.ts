import { z } from "zod";
import { sortedJson } from "./sorted-json.ts";

/**
 * The ledger of one rotation class of one tenant: which generation is live, how far a rotation has come, what was
 * before. It holds no secret. It lies in Vault's KV beside the values, each version of it an entry of the history.
 */

/** The number of a value in a class. Generations only grow and are never used twice, failed ones included. */
export type Generation = number & { readonly brand: "Generation" };

/** The first generation of every class. */
export const firstGeneration = 1 as Generation;

/** The generation that follows. */
export function after(generation: Generation): Generation {
  return (generation + 1) as Generation;
}

/**
 * How far a generation has come. `staged` (its value lies where only the rotator reads it), `retained` (valid beside
 * the old one), `verified` (a login with it worked), `published` (consumers can read it), `converged` (every consumer
 * uses it; the grace runs), `discarded` (the old one is gone), `closed` (the old one was seen refused). `abandoned`:
 * the rotation failed and was undone, so the previous generation is live.
 */
export const phases = [
  "staged",
  "retained",
  "verified",
  "published",
  "converged",
  "discarded",
  "closed",
  "abandoned",
] as const;

/** One of `phases`. */
export type Phase = (typeof phases)[number];

/** The format that this release writes. */
export const ledgerFormat = 1;

/** The steps between the phases, in order; `undo` leads from before the publication back to the generation before. */
export const edges = ["stage", "retain", "verify", "publish", "converge", "discard", "close", "undo"] as const;

/** One of `edges`. */
export type Edge = (typeof edges)[number];

const generation = z.custom<Generation>((value) => Number.isSafeInteger(value) && Number(value) >= 1, {
  error: "a whole number from 1",
});
const instant = z.iso.datetime();
const digests = z.record(z.string(), z.string().regex(/^[0-9a-f]{32}$/));

const previous = z.strictObject({
  generation,
  /** The generation whose generated value it carries; null where that value is not in the stack's state. */
  origin: generation.nullable(),
  since: instant,
  /** When the grace ends; null before every consumer has converged. */
  until: instant.nullable(),
  digests,
});

const ledger = z
  .strictObject({
    format: z.literal(ledgerFormat),
    /** The highest generation that was ever begun. */
    generation,
    /** The generation whose generated value it carries: itself, or an older one after a rollback. */
    origin: generation,
    phase: z.enum(phases),
    /** When the value was generated (UTC); its age counts from here. */
    since: instant,
    previous: previous.nullable(),
    /** By group: the keyed digest of the value, see `valueDigest`. */
    digests,
    /** The last request that was carried out. */
    request: z.string().nullable(),
    /** The last request of the management API that was carried out, and the generation that it began; absent before one. */
    asked: z.strictObject({ id: z.string().min(1), generation }).optional(),
    /** Who works on the class; absent while nobody does. Whoever finds it unchanged for its time takes it over. */
    lease: z.strictObject({ holder: z.string().min(1), seconds: z.number().int().positive() }).optional(),
    /** What was done last, so that the versions of the ledger are the history of the class. */
    last: z
      .strictObject({
        edge: z.enum(edges),
        at: instant,
        /** Who: the identity of the run. */
        by: z.string(),
        /** Why: what the command or the policy said. */
        why: z.string(),
        /** `begun` is noted of an undo alone: whoever comes next has to go on with it. */
        result: z.enum(["begun", "done", "failed"]),
        /** Class of the error, never its text. */
        error: z.string().optional(),
      })
      .optional(),
  })
  .superRefine((value, context) => {
    if (value.origin > value.generation) {
      context.addIssue({ code: "custom", path: ["origin"], message: "at most the generation" });
    }
    if (value.previous !== null && value.previous.generation >= value.generation) {
      context.addIssue({ code: "custom", path: ["previous", "generation"], message: "below the generation" });
    }
    if (value.previous === null && !["closed", "published", "converged"].includes(value.phase)) {
      context.addIssue({ code: "custom", path: ["previous"], message: `an object in the phase ${value.phase}` });
    }
  });

/** The ledger of one class of one tenant. */
export type RotationLedger = z.output<typeof ledger>;

/** A ledger that can't be trusted; nothing is generated and nothing rotated then. */
export class LedgerFault extends Error {
  readonly code = "TOKENSHIELD_LEDGER";
  readonly path: string;
  readonly expected: string;
  readonly given: string;

  /**
   * @param path where the ledger lies: `<mount>/tenants/<tenant>/rotation/<class>`
   * @param expected what it should hold
   * @param given what it holds
   */
  constructor(path: string, expected: string, given: string) {
    super(`the rotation ledger ${path}: expected ${expected}, given ${given}`);
    this.name = "LedgerFault";
    this.path = path;
    this.expected = expected;
    this.given = given;
  }
}

/** Turns a ledger of one format into one of the next. */
export type LedgerUpgrade = (ledger: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** By the format that it reads: how a ledger of an older release becomes one of the next. Format 1 is the first. */
export const ledgerUpgrades: Readonly<Record<number, LedgerUpgrade>> = {};

/**
 * Reads a ledger.
 * @param text its JSON
 * @param path where it lies, for the error
 * @param upgrades steps from older formats
 * @throws LedgerFault where it is no ledger, or one of a newer release
 */
export function parseLedger(text: string, path: string, upgrades = ledgerUpgrades): RotationLedger {
  let document = asObject(text, path);
  for (let format = document["format"]; format !== ledgerFormat; format = document["format"]) {
    const upgrade = typeof format === "number" ? upgrades[format] : undefined;
    if (upgrade === undefined) {
      const newer = typeof format === "number" && format > ledgerFormat;
      const expected = `format ${ledgerFormat}${newer ? " (a newer release wrote it: deploy with that one)" : ""}`;
      throw new LedgerFault(path, expected, `format ${JSON.stringify(format)}`);
    }
    document = upgrade(document);
    if (document["format"] !== Number(format) + 1) {
      throw new LedgerFault(path, `format ${Number(format) + 1} after an upgrade`, JSON.stringify(document["format"]));
    }
  }
  const result = ledger.safeParse(document);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new LedgerFault(path, issue?.message ?? "a ledger", `another value at ${issue?.path.join(".") ?? "its root"}`);
}

function asObject(text: string, path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new LedgerFault(path, "JSON", "something else");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    // A secret that was deleted but not destroyed reads as null.
    const given = value === null ? "nothing (the ledger was deleted; `vault kv undelete` brings it back)" : "no object";
    throw new LedgerFault(path, "an object", given);
  }
  return value as Readonly<Record<string, unknown>>;
}

/** Writes a ledger as JSON with sorted fields, so that equal ledgers are equal texts. */
export function ledgerText(value: RotationLedger): string {
  return sortedJson(value);
}

/**
 * The ledger of a class whose first values were just generated and published: there is nobody before them, so there is
 * no grace to wait for.
 * @param digests by group
 * @param now when the values were generated
 */
export function firstLedger(digests: Readonly<Record<string, string>>, now: Date): RotationLedger {
  return {
    format: ledgerFormat,
    generation: firstGeneration,
    origin: firstGeneration,
    phase: "closed",
    since: now.toISOString(),
    previous: null,
    digests: { ...digests },
    request: null,
  };
}
