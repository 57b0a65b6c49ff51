import { GtidSet } from "@tokenshield/mysql";
import type { GroupCertificate } from "./certificate.ts";

/** One configured member: its pod's name and where its server listens. */
export interface Member {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Port of the group communication (`group_replication_local_address`). */
  readonly groupPort: number;
}

/** A member's own state, of `performance_schema.replication_group_members`. */
export type OwnState = "offline" | "recovering" | "online" | "error";
export type Role = "primary" | "secondary";

/** How a server sees one member of its group, itself included. */
export interface Seen {
  readonly uuid: string;
  readonly host: string;
  readonly port: number;
  readonly state: OwnState | "unreachable";
  readonly role: Role | undefined;
}

/** What the agent saw of its own server in one look. */
export type ServerView =
  /** No answer in time, or none at all. */
  | { readonly kind: "down"; readonly why: string }
  /** It answers, but not so that anything could be decided: it refuses, or a former agent's statement may still act. */
  | { readonly kind: "unsettled"; readonly why: string }
  | UpView;

export interface UpView {
  readonly kind: "up";
  readonly uuid: string;
  readonly state: OwnState;
  readonly role: Role | undefined;
  /** `gtid_executed`. */
  readonly executed: string;
  /** What the group's applier channel has received, applied or not. */
  readonly received: string;
  /** `gtid_purged`: what can no longer be handed to a joining member from the binary log. */
  readonly purged: string;
  readonly view: readonly Seen[];
  /** A clone runs on this server, as giver or as taker. */
  readonly clone: "donor" | "recipient" | undefined;
  /** The server's data came by a clone within the last hour. */
  readonly cloned: boolean;
  /** The certificate of its connections with other members. */
  readonly certificate: GroupCertificate;
}

/** What an agent does that changes its server's membership; others see it before it begins. */
export type Errand = "bootstrap" | "join" | "clone" | "stop" | "hand-over";

/** What an agent publishes of its member. */
export interface Report {
  readonly member: string;
  /** A name of this run of the agent. */
  readonly incarnation: string;
  /** Grows with each report of an incarnation. */
  readonly sequence: number;
  /** The group's epoch that the agent had read before it looked at its server. */
  readonly epoch: number;
  readonly errand: Errand | undefined;
  readonly server: ServerView;
}

/** What all agents agree on, kept in one Lease. */
export interface GroupRecord {
  /** How many times a member was allowed to start the group; 0 before the first time. */
  readonly epoch: number;
  /** Who was allowed to, the last time. */
  readonly holder: string | undefined;
  /** Transactions that the group is known to have committed: whoever starts it again must have them. */
  readonly committed: string;
  /** An operator's word that members are gone for good; counts in the epoch that it names only. */
  readonly assumeLost: { readonly epoch: number; readonly members: readonly string[] } | undefined;
}

export const unformed: GroupRecord = { epoch: 0, holder: undefined, committed: "", assumeLost: undefined };

/** Every transaction that a server has or has received: what it would bring into a group that it started. */
export function holdings(view: UpView): GtidSet {
  return GtidSet.parse(view.executed).union(GtidSet.parse(view.received));
}

/**
 * Whether this server takes part in a group and reaches more than half of it, so that it can commit.
 *
 * @param outside servers that are known to be out of any group, by UUID: the view may not have noticed yet
 */
export function hasQuorum(view: UpView, outside: ReadonlySet<string> = new Set()): boolean {
  if (view.state !== "online") return false;
  const reached = view.view.filter(
    ({ state, uuid }) => (state === "online" || state === "recovering") && !outside.has(uuid),
  );
  return reached.length * 2 > view.view.length;
}

/** Whether this server sees a group of all configured members, online. */
export function isWhole(view: ServerView, members: number): boolean {
  return view.kind === "up" && view.view.length === members && view.view.every(({ state }) => state === "online");
}

/** The role that clients may rely on: none without a quorum. */
export function servingRole(view: ServerView): Role | undefined {
  return view.kind === "up" && hasQuorum(view) ? view.role : undefined;
}
