import { servingRole, type ServerView } from "./members.ts";
import type { Errand } from "./members.ts";

/** What the probes are answered from. */
export interface Vitals {
  /** The last look at the server. */
  readonly view: ServerView;
  /** The last look at which the server answered. */
  readonly lastAnswer: ServerView | undefined;
  /** How long the server has given no answer, in milliseconds; 0 while it answers. */
  readonly silent: number;
  /** How long ago the agent last finished a round, in milliseconds. */
  readonly sinceRound: number;
  readonly errand: Errand | undefined;
}

export interface Limits {
  /** How long a server that was well may give no answer before it counts as hung, in milliseconds. */
  readonly silence: number;
  /** How long a round of the agent may take, in milliseconds. */
  readonly round: number;
}

export interface Verdict {
  readonly ok: boolean;
  readonly why: string;
}

const yes = (why: string): Verdict => ({ ok: true, why });
const no = (why: string): Verdict => ({ ok: false, why });

/** For the startup probe of the server's container: whether the server has answered once, or is being cloned. */
export function started({ lastAnswer, errand }: Vitals): Verdict {
  if (errand === "clone") return yes("a clone replaces the server's data");
  return lastAnswer === undefined ? no("the server has not answered yet") : yes("the server has answered");
}

/**
 * For the liveness probe of the server's container. It fails only where a restart may help and can do no harm: the
 * server was seen online, and has given no answer for a long time. A server that catches up, clones or gives a clone,
 * starts, stops or lost its group is never ended by a probe.
 */
export function alive({ view, lastAnswer, silent, errand }: Vitals, { silence }: Limits): Verdict {
  if (view.kind !== "down") return yes("the server answers");
  if (errand !== undefined) return yes(`the agent is at work on it (${errand})`);
  if (lastAnswer?.kind !== "up") return yes("the server is starting");
  if (lastAnswer.clone !== undefined) return yes(`the server was ${lastAnswer.clone} of a clone`);
  if (lastAnswer.state !== "online") return yes(`the server was ${lastAnswer.state}`);
  return silent > silence
    ? no(`the server has given no answer for ${Math.round(silent / 1000)} s`)
    : yes("the server is late");
}

/** For the readiness probe: whether clients may be sent to this member. */
export function ready({ view, sinceRound }: Vitals, { round }: Limits): Verdict {
  if (sinceRound > round) return no("the agent's last look is too old");
  const role = servingRole(view);
  return role === undefined ? no("not online in a group with a quorum") : yes(role);
}

/** For the liveness probe of the agent's own container. */
export function working({ sinceRound }: Vitals, { round }: Limits): Verdict {
  return sinceRound > round * 6 ? no("the agent's rounds have stopped") : yes("working");
}
