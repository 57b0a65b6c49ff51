import type { Activities, ActivityFacts } from "../../core/activities.ts";
import type { Cards } from "../../core/ports.ts";
import { ok, type Operation, reading } from "../operation.ts";
import { pageOf, query } from "../request.ts";

const day = 24 * 3_600_000;
const shortLife = 2000;

function activityAnswer(activity: ActivityFacts): Record<string, unknown> {
  const { lastFour, status } = activity;
  return {
    id: activity.id,
    token: activity.token,
    type: activity.type,
    source_ip: activity.sourceIp,
    destination: activity.destination,
    timestamp: activity.at.toISOString(),
    ...(status === undefined ? {} : { status }),
    // One for the command line client, one for the dashboard.
    ...(lastFour === undefined ? {} : { card_last_four: lastFour, last_four: lastFour }),
  };
}

/** Activity and counts. */
export function monitoringOperations(cards: Cards, activities: Activities, now: () => Date): readonly Operation[] {
  const count = async (): Promise<object> => {
    const [active, uses] = await Promise.all([
      cards.countActive(),
      activities.countSince(new Date(now().getTime() - day)),
    ]);
    return {
      active_tokens: active,
      requests_24h: { tokenize: 0, detokenize: 0, forward: 0, search: 0, ...Object.fromEntries(uses) },
    };
  };
  // Several dashboards that ask at once make the database count once.
  let last: { readonly at: number; readonly counts: Promise<object> } | undefined;
  const counts = (): Promise<object> => {
    const at = now().getTime();
    if (last === undefined || at - last.at > shortLife) {
      const begun = { at, counts: count() };
      last = begun;
      begun.counts.catch(() => {
        if (last === begun) last = undefined;
      });
    }
    return last.counts;
  };
  return [
    {
      id: "listActivity",
      method: "GET",
      path: "/api/v1/activity",
      guard: reading("activity.read"),
      handle: async ({ request }) => {
        const filter = {
          type: query(request, "type"),
          sourceIp: query(request, "source_ip"),
          token: query(request, "token"),
        };
        const { activities: page, total } = await activities.list(filter, pageOf(request, 50));
        return ok({ activities: page.map(activityAnswer), total });
      },
    },
    {
      id: "getStats",
      method: "GET",
      path: "/api/v1/stats",
      guard: reading("stats.read"),
      handle: async () => ok(await counts()),
    },
  ];
}
