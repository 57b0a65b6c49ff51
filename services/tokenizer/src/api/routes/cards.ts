import { z } from "zod";
import type { Audit, Caller, Cards, NewCard, TokenizeOptions } from "../../core/ports.ts";
import { mayHoldPan } from "../../telemetry/index.ts";
import { isToken } from "../../tokens/index.ts";
import { cardOf, type CardFault, faultText } from "../card-input.ts";
import { ok, type Operation, writing } from "../operation.ts";
import { bodyOf, plainText } from "../request.ts";

const tokenizeBody = z.object({
  items: z
    .array(
      z.object({
        card_number: z.string().max(200),
        expiry_month: z.number().int().optional(),
        expiry_year: z.number().int().optional(),
        card_holder: z.string().max(100).optional(),
        external_id: plainText(64).optional(),
      }),
    )
    .min(1)
    .max(1000),
  token_format: z.enum(["prefix", "luhn"]).optional(),
  reuse_existing: z.boolean().default(false),
});
const detokenizeBody = z.object({
  tokens: z.array(z.string().max(100)).min(1).max(100),
  purpose: plainText(200).min(3),
});

type TokenizeItem = z.output<typeof tokenizeBody>["items"][number];

interface Parts {
  readonly cards: Cards;
  readonly audit: Audit;
  readonly now: () => Date;
}

/** Bulk calls that carry card numbers. */
export function cardOperations(parts: Parts): readonly Operation[] {
  return [
    {
      id: "tokenizeBulk",
      method: "POST",
      path: "/api/v1/tokenize",
      guard: writing("tokens.write"),
      maxBody: 1_048_576,
      idempotency: "by-key",
      handle: async ({ request, caller }) => {
        const body = bodyOf(request, tokenizeBody);
        const options: TokenizeOptions = {
          reuse: body.reuse_existing ? "active" : "never",
          ...(body.token_format === undefined ? {} : { format: body.token_format }),
        };
        return ok(await tokenize(parts.cards, body.items, options, caller, parts.now()));
      },
    },
    {
      id: "detokenizeBulk",
      method: "POST",
      path: "/api/v1/detokenize",
      guard: { kind: "permission", permission: "tokens.reveal", effect: "write", accepts: ["session", "api-key"] },
      maxBody: 65_536,
      handle: async ({ request, caller }) => {
        const { tokens, purpose } = bodyOf(request, detokenizeBody);
        return ok(await reveal(parts, tokens, purpose, caller));
      },
    },
  ];
}

/** One transaction for all cards that are good; the others get an error of their own. Results keep the order. */
async function tokenize(
  cards: Cards,
  items: readonly TokenizeItem[],
  options: TokenizeOptions,
  caller: Caller,
  now: Date,
): Promise<object> {
  const read = items.map((item): NewCard | CardFault =>
    cardOf(
      {
        number: item.card_number,
        holder: item.card_holder,
        month: item.expiry_month,
        year: item.expiry_year,
        externalId: item.external_id,
        metadata: undefined,
      },
      now,
    ),
  );
  const good = read.filter((card) => typeof card !== "string");
  const stored = good.length === 0 ? [] : await cards.tokenize(good, caller, options);
  const byCard = new Map(good.map((card, index) => [card, stored[index]]));
  const results = read.map((card, index) => {
    const external = items[index]?.external_id;
    const named = { index, ...(external === undefined ? {} : { external_id: external }) };
    if (typeof card === "string") return { ...named, status: "error", error: faultText[card], code: card };
    const made = byCard.get(card);
    if (made === undefined) throw new Error("the card store gave fewer tokens than cards");
    return { ...named, status: made.status, token: made.token, card_type: made.cardType, last_four: made.lastFour };
  });
  return { results, total: items.length, succeeded: good.length, failed: items.length - good.length };
}

/** What isn't shaped like a token is unknown without a look at the store, and is not sent back or written down: it may be a card number. */
async function reveal(parts: Parts, tokens: readonly string[], purpose: string, caller: Caller): Promise<object> {
  const shaped = tokens.filter((token) => isToken(token) && token.length <= 64 && !mayHoldPan(token));
  if (shaped.length < tokens.length) {
    await parts.audit.append([
      {
        action: "token.reveal",
        actor: caller.actor,
        sourceIp: caller.sourceIp,
        resourceType: "token",
        resourceId: "malformed",
        result: "denied",
        details: { purpose, count: tokens.length - shaped.length },
      },
    ]);
  }
  const cards = shaped.length === 0 ? [] : await parts.cards.reveal(shaped, caller, purpose);
  const found = new Map(shaped.map((token, index) => [token, cards[index]]));
  const results = tokens.map((token, index) => {
    const card = found.get(token);
    if (card === undefined) {
      return { index, token: found.has(token) ? token : "", status: "error", code: "TOKEN_UNAVAILABLE" };
    }
    return {
      index,
      token,
      status: "revealed",
      card_number: card.pan.digits(),
      expiry_month: card.expiryMonth,
      expiry_year: card.expiryYear,
      card_type: card.cardType,
      last_four: card.lastFour,
    };
  });
  const succeeded = results.filter(({ status }) => status === "revealed").length;
  return { results, total: tokens.length, succeeded, failed: tokens.length - succeeded };
}
