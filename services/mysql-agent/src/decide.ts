import { GtidSet } from "@tokenshield/mysql";
import { type GroupRecord, hasQuorum, holdings, type Report, type Seen, servingRole, type UpView } from "./members.ts";

/** Everything that a decision is made of. */
export interface Situation {
  readonly self: string;
  /** Names of all configured members, in order; `self` is one of them. */
  readonly members: readonly string[];
  /** Undefined where the record can't be read: then nothing that needs the others' word is done. */
  readonly group: GroupRecord | undefined;
  /** The report that this agent has just published. */
  readonly own: Report;
  /** Fresh reports of the other members. */
  readonly heard: ReadonlyMap<string, Report>;
  /** Whether the member is to leave the group for a while or for good. */
  readonly leaving: boolean;
  /** A member that lacks more transactions than this is cloned instead of caught up. */
  readonly cloneBeyond: number;
  /** For how long this agent has seen all members online, in milliseconds; 0 while one is away. */
  readonly wholeFor: number;
}

/** A group that has been whole for so long is not being updated pod by pod, in milliseconds. */
const settled = 60_000;

export type Action =
  | { readonly kind: "none"; readonly why: string }
  /** Can't be put right without an operator, or without a member that is away. */
  | { readonly kind: "blocked"; readonly by: Block; readonly why: string }
  | { readonly kind: "bootstrap" }
  | { readonly kind: "join" }
  | { readonly kind: "clone"; readonly donor: string }
  | { readonly kind: "stop"; readonly why: string }
  | { readonly kind: "hand-over"; readonly to: Seen }
  /** Out of the group as asked. */
  | { readonly kind: "left" };

export type Block =
  /** This member has transactions that the group doesn't have. */
  | "errant"
  /** No member has all transactions of all the others. */
  | "diverged"
  /** Nobody who is there has all that the group is known to have committed. */
  | "lost"
  /** Not all configured members have been heard to be out of a group. */
  | "unheard";

const none = (why: string): Action => ({ kind: "none", why });
const blocked = (by: Block, why: string): Action => ({ kind: "blocked", by, why });

/**
 * What one member does next. Pure: the same situation gives the same action.
 *
 * A group is started only by a member that is out of any group, while every configured member says the same of itself
 * in the present epoch, and that has all transactions that any of them has. Starting takes a new epoch, so what others
 * said before it no longer counts. Being unsure means doing nothing.
 */
export function decide(situation: Situation): Action {
  const { server } = situation.own;
  if (server.kind === "down") return none(`the server does not answer: ${server.why}`);
  if (server.kind === "unsettled") return none(server.why);
  if (situation.leaving) return leave(server);
  switch (server.state) {
    case "error":
      return { kind: "stop", why: "the server left the group by an error" };
    case "online":
      return hasQuorum(server)
        ? stay(situation, server)
        : none("in a group without a quorum, which the server leaves by itself");
    case "recovering":
      return none("catching up");
    case "offline":
      return server.clone === undefined ? enter(situation, server) : none("a clone is running");
  }
}

function leave(server: UpView): Action {
  if (server.state === "offline") return { kind: "left" };
  return handOver(server, theNext) ?? { kind: "stop", why: "asked to leave" };
}

/** Which of the others, by name, is to lead after this member. */
type Heir = (others: readonly Seen[], own: Seen) => Seen | undefined;

const byName = (one: Seen, other: Seen): number => one.host.localeCompare(other.host) || one.port - other.port;
const theFirst: Heir = ([heir]) => heir;
/** An update restarts the pods from the last to the first: the next one has been restarted, and needn't hand over, too. */
const theNext: Heir = (others, own) => others.find((other) => byName(other, own) > 0) ?? others[0];

function handOver(server: UpView, choose: Heir): Action | undefined {
  const own = server.view.find(({ uuid }) => uuid === server.uuid);
  if (own === undefined || servingRole(server) !== "primary") return undefined;
  const others = server.view.filter(({ uuid, state }) => uuid !== server.uuid && state === "online").toSorted(byName);
  const heir = choose(others, own);
  return heir === undefined ? undefined : { kind: "hand-over", to: heir };
}

function stay(situation: Situation, server: UpView): Action {
  return server.certificate === "present"
    ? (makeReady(situation, server) ?? none("in the group"))
    : renew(situation, server);
}

/**
 * The last member is the first that an update of the pods restarts: whoever takes over from it then has to hand over
 * again. So it doesn't stay primary once all is well.
 */
function makeReady({ self, members, heard, wholeFor }: Situation, server: UpView): Action | undefined {
  if (members.length === 1 || self !== members.at(-1) || wholeFor < settled) return undefined;
  if ([...heard.values()].some(({ errand }) => errand !== undefined)) return undefined;
  return handOver(server, theFirst);
}

/**
 * A member whose connections with the others use a former certificate leaves and comes back, as MySQL takes up a new
 * one only then. One at a time, while all are well; the primary is the last, after a hand-over.
 */
function renew({ self, members, heard }: Situation, server: UpView): Action {
  const others = server.view.filter(({ uuid }) => uuid !== server.uuid);
  if (others.length === 0) return renewAlone(members, heard, server);
  if (others.some(({ state }) => state !== "online")) return none("renews its certificate once all are online");
  const peers = [...heard].filter(([, { server: peer }]) => peer.kind === "up" && peer.certificate !== "present");
  const busy = [...heard].find(([, { errand }]) => errand !== undefined);
  if (busy !== undefined) return none(`renews its certificate after ${busy[0]}`);
  const first = peers.find(([name, { server: peer }]) => goesBefore(peer, name, server, self));
  if (first !== undefined) return none(`renews its certificate after ${first[0]}`);
  return handOver(server, theFirst) ?? { kind: "stop", why: "to take up the renewed certificate" };
}

function goesBefore(peer: Report["server"], name: string, server: UpView, self: string): boolean {
  if (peer.kind !== "up" || peer.role === "primary") return false;
  return server.role === "primary" || name < self;
}

/** The only member that is left ends the group if nobody can join it any more: they then start it together. */
function renewAlone(members: readonly string[], heard: Situation["heard"], server: UpView): Action {
  const out = [...heard.values()].filter(({ server: peer }) => peer.kind === "up" && peer.state === "offline");
  if (members.length === 1 || server.certificate !== "expired" || out.length < members.length - 1) {
    return none("in the group, alone");
  }
  return { kind: "stop", why: "its certificate has expired, and nobody can join it" };
}

function enter(situation: Situation, server: UpView): Action {
  const { group, heard } = situation;
  if (group === undefined) return none("the group's record can't be read");
  const outside = new Set([server.uuid]);
  for (const { server: peer } of heard.values())
    if (peer.kind === "up" && peer.state === "offline") outside.add(peer.uuid);
  const living: [string, UpView][] = [];
  for (const [name, { server: peer }] of heard)
    if (peer.kind === "up" && hasQuorum(peer, outside)) living.push([name, peer]);
  return living.length > 0 ? join(situation, server, living) : restart(situation, group);
}

/** Joins a group that lives: by its binary logs, or by a clone where these don't reach back far enough. */
function join({ cloneBeyond }: Situation, server: UpView, living: readonly (readonly [string, UpView])[]): Action {
  const group = living.reduce((all, [, peer]) => all.union(GtidSet.parse(peer.executed)), GtidSet.empty);
  const own = holdings(server);
  const errant = own.minus(group);
  if (!errant.isEmpty) {
    return blocked("errant", `this member has transactions that the group lacks: ${errant.toString()}`);
  }
  const missing = group.minus(own);
  const reachable = living.some(([, peer]) => own.includes(GtidSet.parse(peer.purged)));
  // A fresh clone is caught up, however much was written while its server restarted: cloning again would never end.
  if (reachable && (server.cloned || missing.size <= BigInt(cloneBeyond))) return { kind: "join" };
  // A secondary gives its copy rather than the primary, which has the clients.
  const [donor] = living.toSorted(([one, a], [other, b]) => rank(a) - rank(b) || one.localeCompare(other));
  return donor === undefined ? none("nobody to clone from") : { kind: "clone", donor: donor[0] };
}

const rank = (peer: UpView): number => (peer.clone === undefined ? 0 : 2) + (peer.role === "primary" ? 1 : 0);

/** Nobody is seen in a group that lives: starts it again if this member is the one to do it. */
function restart({ self, members, own, heard }: Situation, group: GroupRecord): Action {
  const lost = group.assumeLost?.epoch === group.epoch ? group.assumeLost.members : [];
  const holds = new Map<string, GtidSet>();
  for (const name of members) {
    const report = name === self ? own : heard.get(name);
    if (lost.includes(name) && name !== self && report === undefined) continue;
    if (report === undefined) return blocked("unheard", `${name} has not been heard`);
    const { server } = report;
    if (server.kind !== "up") {
      if (lost.includes(name)) continue;
      return blocked("unheard", `the server of ${name} does not answer`);
    }
    if (server.state !== "offline") return none(`${name} has not left its group (${server.state})`);
    if (report.errand !== undefined) return none(`${name} is busy (${report.errand})`);
    if (report.epoch !== group.epoch) return none(`${name} has not seen epoch ${group.epoch}`);
    if (!lost.includes(name)) holds.set(name, holdings(server));
  }
  const all = [...holds.values()].reduce((sum, set) => sum.union(set), GtidSet.empty);
  const best = members.filter((name) => holds.get(name)?.includes(all) === true);
  if (best.length === 0) return blocked("diverged", "no member has all transactions of the others");
  const gone = lost.length > 0 ? GtidSet.empty : GtidSet.parse(group.committed).minus(all);
  if (!gone.isEmpty) return blocked("lost", `the group had committed what no member has: ${gone.toString()}`);
  // A failed start takes an epoch, too: the next of the equals tries then.
  const starter = best[group.epoch % best.length];
  return starter === self ? { kind: "bootstrap" } : none(`${starter ?? "nobody"} is to start the group`);
}
