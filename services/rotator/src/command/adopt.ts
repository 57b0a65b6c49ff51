import { firstLedger, type Generation, LedgerFault, ledgerPath, type RotationLedger } from "@tokenshield/rotation";
import { RotatorError } from "../core/index.ts";
import { accountsOf, classNamed, type Parts } from "./parts.ts";

/**
 * Writes a class's ledger anew from what is live, where it was lost: published and in force in the database. Changes no
 * value. What a lost ledger had begun is left to the next run: to be undone if it wasn't published, to be closed if it was.
 *
 * @returns the ledger that was written
 * @throws RotatorError `OUT_OF_ORDER` where there is a ledger, or where what is live doesn't fit together
 */
export async function adopt(parts: Parts, className: string, why: string, now: Date): Promise<RotationLedger> {
  const { ledgers, holder, plan } = parts;
  await refuseWhereThereIsOne(parts, className);
  const published = await livePublished(parts, className);
  const { kind } = classNamed(plan, className);
  const { generation, previous } = published;
  const inForce: InForce =
    kind === "database"
      ? await liveInDatabase(parts, className)
      : { highest: generation, lowest: generation, grace: previous !== undefined };
  const ledger = ledgerOf(published, inForce, now, `${plan.mount}/${ledgerPath(plan.tenant, className)}`);
  const last = { edge: "close", at: now.toISOString(), by: holder, why, result: "done" } as const;
  const noted: RotationLedger = ledger.last === undefined ? { ...ledger, last } : ledger;
  await ledgers.write(className, noted, 0);
  return noted;
}

async function refuseWhereThereIsOne({ ledgers }: Parts, className: string): Promise<void> {
  let found: unknown;
  try {
    found = await ledgers.read(className);
  } catch (error) {
    if (error instanceof LedgerFault) throw new RotatorError("OUT_OF_ORDER", error.message, { cause: error });
    throw error;
  }
  if (found !== undefined) {
    throw new RotatorError(
      "OUT_OF_ORDER",
      `${className}: its ledger is there, so nothing is to be taken over from here; a lost state is taken over by an update with the request "adopt"`,
    );
  }
}

interface Published {
  readonly generation: number;
  readonly digests: Readonly<Record<string, string>>;
  /** Digests of the values before; undefined outside a grace. */
  readonly previous: Readonly<Record<string, string>> | undefined;
}

async function livePublished({ plan, values }: Parts, className: string): Promise<Published> {
  const { groups } = classNamed(plan, className);
  const all = await Promise.all(groups.map(async (group) => [group.name, await values.published(group)] as const));
  const generations = new Set(all.map(([, { generation }]) => generation));
  const [generation = Number.NaN] = generations;
  if (generations.size !== 1 || !Number.isSafeInteger(generation) || generation < 1) {
    const given = all.map(([name, each]) => `${name} ${each.generation}`).join(", ");
    throw new RotatorError("OUT_OF_ORDER", `${className}: expected one generation in all groups, given ${given}`);
  }
  const previous = Object.fromEntries(
    all.flatMap(([name, { previous: digest }]) => (digest === undefined ? [] : [[name, digest]])),
  );
  return {
    generation,
    digests: Object.fromEntries(all.map(([name, { digest }]) => [name, digest])),
    previous: Object.keys(previous).length === 0 ? undefined : previous,
  };
}

interface InForce {
  readonly highest: number;
  readonly lowest: number;
  /** Whether an account still takes the password before. */
  readonly grace: boolean;
}

async function liveInDatabase(parts: Parts, className: string): Promise<InForce> {
  const states = [...(await accountsOf(parts, className).states()).values()];
  const generations = states.map(({ generation }) => generation);
  return {
    highest: Math.max(...generations),
    lowest: Math.min(...generations),
    grace: states.some(({ previousAccepted }) => previousAccepted),
  };
}

function ledgerOf(published: Published, inForce: InForce, now: Date, path: string): RotationLedger {
  const { generation, digests } = published;
  const live = { ...firstLedger(digests, now), generation: generation as Generation, origin: generation as Generation };
  const before = (previous: number, known: Readonly<Record<string, string>>): RotationLedger["previous"] => ({
    generation: previous as Generation,
    origin: null,
    since: now.toISOString(),
    until: null,
    digests: { ...known },
  });
  if (inForce.highest === generation && inForce.lowest === generation) {
    if (!inForce.grace || generation === 1) return live;
    return { ...live, phase: "published", previous: before(generation - 1, published.previous ?? {}) };
  }
  if (inForce.highest > generation && inForce.lowest >= generation) {
    const undone = inForce.highest as Generation;
    return {
      ...live,
      generation: undone,
      origin: undone,
      phase: "retained",
      previous: before(generation, digests),
      digests: {},
      last: { edge: "undo", at: now.toISOString(), by: "adopt", why: "the ledger was lost", result: "begun" },
    };
  }
  throw new RotatorError(
    "OUT_OF_ORDER",
    `${path}: generation ${generation} is published, and the database has ${inForce.lowest} to ${inForce.highest}: restore the newer of the two first`,
  );
}
