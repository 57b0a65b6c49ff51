import type { GroupRecord, Member, Report, Role, Seen, ServerView } from "./members.ts";

/** The agent's own MySQL server. */
export interface Server {
  /** One look. Never rejects: a server that gives no answer is `down`. */
  observe(): Promise<ServerView>;
  /** Starts the group. The caller holds a fresh epoch for it. */
  bootstrap(): Promise<void>;
  join(): Promise<void>;
  /** Replaces this server's data by a copy of the donor's. The server restarts, or ends for its supervisor to restart. */
  clone(donor: Member): Promise<void>;
  stop(): Promise<void>;
  handOver(to: Seen): Promise<void>;
  /** What the primary keeps in order: the accounts and their rights. Idempotent. */
  tend(): Promise<void>;
  /** Makes new sessions of clients see a certificate that was renewed. @returns whether there was one */
  takeUpCertificate(): Promise<boolean>;
}

/** What was read in one go from where the agents leave word for each other. */
export interface Snapshot {
  readonly group: GroupRecord;
  /** Version of the record, for `replace`. */
  readonly version: string | undefined;
  /** What each member published last, however long ago, the reader's own word included. */
  readonly reports: ReadonlyMap<string, Report>;
}

/** Where the agents leave word for each other. All calls reject when it can't be reached. */
export interface Board {
  read(): Promise<Snapshot>;
  /** @throws AgentError `SUPERSEDED` if another agent speaks for this member now */
  publish(report: Report): Promise<void>;
  /** Compare and set. @returns false if the record is no longer that of `version` */
  replace(version: string | undefined, record: GroupRecord): Promise<boolean>;
}

/** The labels that Services select members by. */
export interface Labels {
  /** Sets this member's role; a primary also takes the label off any other member that still claims it. */
  mark(role: Role | undefined): Promise<void>;
}
