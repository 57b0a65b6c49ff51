import { randomBytes } from "node:crypto";
import { z } from "zod";
import { KeysUnavailable, StoreUnavailable } from "../../core/errors.ts";
import type { Audit, Caller, Cards, NewCard, TokenizedCard } from "../../core/ports.ts";
import { cardOf, faultText, textFault } from "../card-input.ts";
import { ApiError } from "../errors.ts";
import { importRecords, type RawRecord } from "../import-records.ts";
import { type Answer, type Operation, writing } from "../operation.ts";
import { bodyOf } from "../request.ts";

const body = z.object({
  format: z.enum(["json", "csv"]),
  duplicate_handling: z.enum(["skip", "error", "overwrite"]).default("skip"),
  batch_size: z.number().int().min(1).max(1000).default(100),
  data: z.string().min(1),
});

const record = z.object({
  card_number: z.string(),
  card_holder: z.string().max(100).optional(),
  expiry_month: z.number().int(),
  expiry_year: z.number().int(),
  external_id: z.string().optional(),
  metadata: z.string().max(4096).optional(),
});

type Handling = z.output<typeof body>["duplicate_handling"];

/** A record on its way: where it stood, what it is called, and its card. */
interface Ready {
  readonly index: number;
  readonly externalId: string | undefined;
  readonly card: NewCard;
}

interface Failure {
  readonly record_index: number;
  readonly external_id?: string;
  readonly card_number_masked?: string;
  readonly error: string;
  readonly reason: string;
}

interface Tally {
  readonly tokens: object[];
  readonly errors: Failure[];
  duplicates: number;
}

const named = (externalId: string | undefined): { external_id?: string } =>
  externalId === undefined ? {} : { external_id: externalId };

/** Import of card records from another system. */
export function importOperations(parts: {
  readonly cards: Cards;
  readonly audit: Audit;
  readonly now: () => Date;
}): readonly Operation[] {
  return [
    {
      id: "importCards",
      method: "POST",
      path: "/api/v1/cards/import",
      guard: writing("system.admin"),
      maxBody: 52_428_800,
      maxParallel: 2,
      handle: async ({ request, caller }) => {
        const started = performance.now();
        const wanted = bodyOf(request, body);
        const records = importRecords(wanted.format, wanted.data);
        const tally: Tally = { tokens: [], errors: [], duplicates: 0 };
        const ready = records.flatMap((raw, index) => readRecord(raw, index, parts.now(), tally.errors));
        const importer = { ...caller, source: "import" as const };
        const id = `imp_${randomBytes(9).toString("base64url")}`;
        for (let at = 0; at < ready.length; at += wanted.batch_size) {
          const batch = ready.slice(at, at + wanted.batch_size);
          await storeBatch(parts.cards, batch, wanted.duplicate_handling, importer, tally).catch((error: unknown) => {
            throw tally.tokens.length > 0 ? interrupted(error) : error;
          });
        }
        await parts.audit.append([
          {
            action: "cards.import",
            actor: caller.actor,
            sourceIp: caller.sourceIp,
            resourceType: "import",
            resourceId: id,
            result: tally.tokens.length > 0 || tally.errors.length === 0 ? "success" : "failure",
            details: {
              records: records.length,
              stored: tally.tokens.length,
              failed: tally.errors.length,
              duplicates: tally.duplicates,
            },
          },
        ]);
        return answer(id, records.length, tally, performance.now() - started);
      },
    },
  ];
}

/** An outage after some batches: they stay stored, so the answer must not say that nothing was changed. */
function interrupted(error: unknown): unknown {
  if (!(error instanceof StoreUnavailable || error instanceof KeysUnavailable)) return error;
  return new ApiError(503, "SERVICE_UNAVAILABLE", "The import was interrupted by an outage", {
    details: "The batches before it are stored; send it again with duplicate_handling skip",
    retryAfter: 5,
  });
}

/** A record's card, or nothing and one more error. */
function readRecord(raw: RawRecord, index: number, now: Date, errors: Failure[]): readonly Ready[] {
  const parsed = record.safeParse(raw);
  const fail = (error: string, reason: string, digits: string, externalId?: string): readonly Ready[] => {
    const shown = digits.length >= 13 && digits.length <= 19 ? { card_number_masked: `****${digits.slice(-4)}` } : {};
    errors.push({ record_index: index, ...named(externalId), ...shown, error, reason });
    return [];
  };
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return fail("VALIDATION_FAILED", `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`, "");
  }
  const { data } = parsed;
  const digits = data.card_number.replaceAll(/[^0-9]/g, "");
  const fault = textFault(data.external_id, 64);
  if (fault !== undefined) return fail("VALIDATION_FAILED", `external_id: ${fault}`, digits);
  const externalId = data.external_id === "" ? undefined : data.external_id;
  const card = cardOf(
    {
      number: data.card_number,
      holder: data.card_holder,
      month: data.expiry_month,
      year: data.expiry_year,
      externalId,
      metadata: data.metadata,
    },
    now,
  );
  if (typeof card === "string") return fail(card, faultText[card], digits, externalId);
  const metadata = metadataFault(data.metadata);
  return metadata === undefined
    ? [{ index, externalId, card }]
    : fail("VALIDATION_FAILED", metadata, digits, externalId);
}

function metadataFault(metadata: string | undefined): string | undefined {
  if (metadata === undefined || metadata === "") return undefined;
  const fault = textFault(metadata, 4096);
  if (fault !== undefined) return `metadata: ${fault}`;
  try {
    JSON.parse(metadata);
    return undefined;
  } catch {
    return "metadata: must be JSON as text";
  }
}

/** Stores one batch. A card that stands twice in it is a duplicate of its first record, so the second one waits for the next round. */
async function storeBatch(
  cards: Cards,
  batch: readonly Ready[],
  handling: Handling,
  caller: Caller,
  tally: Tally,
): Promise<void> {
  let rest = batch;
  while (rest.length > 0) {
    const seen = new Set<string>();
    const later: Ready[] = [];
    const round = rest.filter((entry) => {
      const digits = entry.card.pan.digits();
      if (seen.has(digits)) later.push(entry);
      const isFirst = !seen.has(digits);
      seen.add(digits);
      return isFirst;
    });
    await storeRound(cards, round, handling, caller, tally);
    rest = later;
  }
}

async function storeRound(
  cards: Cards,
  round: readonly Ready[],
  handling: Handling,
  caller: Caller,
  tally: Tally,
): Promise<void> {
  const known = await cards.find(round.map(({ card }) => card.pan));
  const isKnown = (_: Ready, index: number): boolean => known[index] !== undefined;
  const duplicates = round.filter(isKnown);
  tally.duplicates += duplicates.length;
  if (handling === "error") {
    for (const { index, externalId, card } of duplicates) {
      tally.errors.push({
        record_index: index,
        ...named(externalId),
        card_number_masked: `****${card.pan.lastFour()}`,
        error: "DUPLICATE",
        reason: "The card is stored already",
      });
    }
  }
  const wanted = handling === "overwrite" ? round : round.filter((entry, index) => !isKnown(entry, index));
  if (wanted.length === 0) return;
  const options =
    handling === "overwrite"
      ? { reuse: "active" as const, existing: "overwrite" as const }
      : { reuse: "never" as const };
  const stored = await cards.tokenize(
    wanted.map(({ card }) => card),
    caller,
    options,
  );
  wanted.forEach((entry, index) => tally.tokens.push(tokenOf(entry, stored[index])));
}

function tokenOf({ index, externalId }: Ready, made: TokenizedCard | undefined): object {
  if (made === undefined) throw new Error("the card store gave fewer tokens than cards");
  return {
    record_index: index,
    ...named(externalId),
    token: made.token,
    card_type: made.cardType,
    last_four: made.lastFour,
  };
}

function answer(id: string, total: number, tally: Tally, milliseconds: number): Answer {
  const failed = tally.errors.length;
  const [status, word] = failed === 0 ? [200, "completed"] : failed === total ? [400, "failed"] : [206, "partial"];
  return {
    status,
    body: {
      total_records: total,
      processed_records: total,
      successful_imports: tally.tokens.length,
      failed_imports: failed,
      duplicates: tally.duplicates,
      import_id: id,
      status: word,
      processing_time: `${(milliseconds / 1000).toFixed(2)}s`,
      tokens_generated: tally.tokens,
      errors: [...tally.errors].sort((one, other) => one.record_index - other.record_index),
    },
  };
}
