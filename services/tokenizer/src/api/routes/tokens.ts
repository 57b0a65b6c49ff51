import { z } from "zod";
import type { Activities } from "../../core/activities.ts";
import type { Audit, Cards, TokenFilter } from "../../core/ports.ts";
import { invalid, notFound } from "../errors.ts";
import { type Answer, type Call, ok, type Operation, reading, writing } from "../operation.ts";
import { bodyOf, paged, pageOf, parameter } from "../request.ts";
import { tokenAnswer } from "../shapes.ts";

const text = z.string().max(100).optional();
const searchBody = z.object({
  last_four: text,
  lastFour: text,
  card_type: text,
  cardType: text,
  is_active: z.boolean().optional(),
  active: z.boolean().optional(),
  date_from: text,
  date_to: text,
  external_id: text,
  limit: z.unknown().optional(),
  offset: z.unknown().optional(),
});

/** The value of a filter that has two names; both with different values contradict each other. Empty texts mean no filter. */
function either<T>(field: string, one: T | undefined, other: T | undefined): T | undefined {
  const [first, second] = [one, other].map((value) => (value === "" ? undefined : value));
  if (first !== undefined && second !== undefined && first !== second)
    throw invalid(field, "is given twice with different values");
  return first ?? second;
}

function time(field: string, value: string | undefined): Date | undefined {
  if (value === undefined || value === "") return undefined;
  const date = z.iso.datetime({ offset: true }).safeParse(value).success ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) throw invalid(field, "must be a time as in RFC 3339");
  return date;
}

/** What a search asks for. Both spellings of the existing clients are understood. */
export function filterOf(body: z.output<typeof searchBody>): TokenFilter {
  const lastFour = either("last_four", body.last_four, body.lastFour);
  if (lastFour !== undefined && !/^[0-9]{4}$/.test(lastFour)) throw invalid("last_four", "must be four digits");
  const fields = {
    lastFour,
    cardType: either("card_type", body.card_type, body.cardType),
    isActive: either("is_active", body.is_active, body.active),
    from: time("date_from", body.date_from),
    to: time("date_to", body.date_to),
    externalId: body.external_id === "" ? undefined : body.external_id,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** Stored tokens. */
export function tokenOperations(cards: Cards, activities: Activities, audit: Audit): readonly Operation[] {
  const path = "/api/v1/tokens/:token";
  const list = async (filter: TokenFilter, page: { limit: number; offset: number }): Promise<Answer> => {
    const { tokens, total } = await cards.search(filter, page);
    return ok({ tokens: tokens.map(tokenAnswer), total });
  };
  const revoke = async ({ request, caller }: Call): Promise<Answer> => {
    const token = tokenOf(parameter(request, "token"));
    if (!(await cards.revoke(token, caller))) throw notFound("token");
    await audit.append([
      {
        action: "token.revoke",
        actor: caller.actor,
        sourceIp: caller.sourceIp,
        resourceType: "token",
        resourceId: token,
        result: "success",
        details: {},
      },
    ]);
    return ok({ message: "Token revoked" });
  };
  return [
    {
      id: "listTokens",
      method: "GET",
      path: "/api/v1/tokens",
      guard: reading("tokens.read"),
      handle: ({ request }) => list({}, pageOf(request, 100)),
    },
    {
      id: "searchTokens",
      method: "POST",
      path: "/api/v1/tokens/search",
      guard: reading("tokens.read"),
      maxBody: 1024,
      handle: async ({ request, caller }) => {
        const body = bodyOf(request, searchBody);
        const answer = await list(filterOf(body), paged(body.limit, body.offset, 100, 1000));
        await activities.record("search", caller);
        return answer;
      },
    },
    {
      id: "getToken",
      method: "GET",
      path,
      guard: reading("tokens.read"),
      handle: async ({ request }) => {
        const token = await cards.get(tokenOf(parameter(request, "token")));
        if (token === undefined) throw notFound("token");
        return ok(tokenAnswer(token));
      },
    },
    { id: "revokeToken", method: "DELETE", path, guard: writing("tokens.delete"), handle: revoke },
    {
      id: "revokeTokenByPost",
      method: "POST",
      path: "/api/v1/tokens/:token/revoke",
      guard: writing("tokens.delete"),
      handle: revoke,
    },
  ];
}

/** A token of the path. What cannot be one is unknown, without a look at the store. */
function tokenOf(text: string): string {
  if (!/^[\x21-\x7e]{1,64}$/.test(text)) throw notFound("token");
  return text;
}
