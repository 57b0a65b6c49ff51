import { createHmac, randomBytes } from "node:crypto";
import { evenTwice } from "../core/errors.ts";
import type { Database, DatabaseSession, Row } from "../core/ports.ts";
import { bytes, date, number, places, text } from "../storage/index.ts";
import { type User, userColumns, userOf } from "./users.ts";

/** The keys that session ids are digested with: the newest first, then, during a grace period, the one before it. */
export type SigningKeys = () => readonly string[];

export interface SessionLimits {
  /** Absolute life, milliseconds. */
  readonly timeout: number;
  /** Longest time without a request, milliseconds. */
  readonly idle: number;
  /** Most sessions of one user; a further one ends the oldest. */
  readonly perUser: number;
}

/** What a session id turned out to be. */
export type SessionState =
  | { readonly state: "live"; readonly user: User; readonly digest: Buffer; readonly expiresAt: Date }
  | { readonly state: "expired" | "unknown" };

const prefix = "sess_";

/** Sessions. Only a keyed digest of a session id is stored, so neither the table nor a backup lets anybody in. */
export class Sessions {
  readonly #database: Database;
  readonly #keys: SigningKeys;
  readonly #limits: SessionLimits;
  readonly #now: () => Date;

  constructor(database: Database, keys: SigningKeys, limits: SessionLimits, now: () => Date) {
    this.#database = database;
    this.#keys = keys;
    this.#limits = limits;
    this.#now = now;
  }

  /** Opens a session inside of the login's transaction. Gives the id, which is shown to the caller alone, and its absolute end. */
  async open(
    session: DatabaseSession,
    userId: string,
    from: { readonly ip: string; readonly userAgent: string },
  ): Promise<{ id: string; expiresAt: Date }> {
    const now = this.#now();
    const id = `${prefix}${randomBytes(32).toString("base64url")}`;
    const [digest] = this.#digests(id);
    if (digest === undefined) throw new Error("there is no session signing key");
    const expiresAt = new Date(now.getTime() + this.#limits.timeout);
    await session.execute(
      "DELETE FROM user_sessions WHERE user_id = ? AND (expires_at <= ? OR last_activity_at <= ?)",
      [userId, now, this.#idleSince(now)],
    );
    const rows = await session.query(
      "SELECT session_digest FROM user_sessions WHERE user_id = ? ORDER BY created_at DESC, session_digest",
      [userId],
    );
    const surplus = rows.slice(this.#limits.perUser - 1).map((row) => bytes(row, "session_digest"));
    if (surplus.length > 0)
      await session.execute(`DELETE FROM user_sessions WHERE session_digest IN (${places(surplus)})`, surplus);
    await session.execute(
      "INSERT INTO user_sessions (session_digest, user_id, ip_address, user_agent, created_at, expires_at, last_activity_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      [digest, userId, from.ip, from.userAgent, now, expiresAt, now],
    );
    return { id, expiresAt };
  }

  /** Looks a session id up and, if it is live, notes that it was used. */
  async find(id: string): Promise<SessionState> {
    const digests = this.#digests(id);
    if (digests.length === 0) return { state: "unknown" };
    const [row] = await this.#database.query(
      `SELECT s.session_digest, s.expires_at, s.last_activity_at, ${userColumns.replaceAll(/[a-z_]+/g, "u.$&")}
       FROM user_sessions s JOIN users u ON u.user_id = s.user_id WHERE s.session_digest IN (${places(digests)}) LIMIT 1`,
      digests,
    );
    if (row === undefined) return { state: "unknown" };
    const digest = bytes(row, "session_digest");
    if (!this.#isLive(row)) {
      await this.#database.execute("DELETE FROM user_sessions WHERE session_digest = ?", [digest]);
      return { state: "expired" };
    }
    await this.#touch(digest, date(row, "last_activity_at"));
    return { state: "live", user: userOf(row), digest, expiresAt: date(row, "expires_at") };
  }

  /** Ends a session. Gives its user's id, or undefined for an unknown session, which is no error. */
  async close(id: string): Promise<string | undefined> {
    const digests = this.#digests(id);
    if (digests.length === 0) return undefined;
    const [row] = await this.#database.query(
      `SELECT session_digest, user_id FROM user_sessions WHERE session_digest IN (${places(digests)}) LIMIT 1`,
      digests,
    );
    if (row === undefined) return undefined;
    const digest = bytes(row, "session_digest");
    await evenTwice(() => this.#database.execute("DELETE FROM user_sessions WHERE session_digest = ?", [digest]));
    return text(row, "user_id");
  }

  async countLive(): Promise<number> {
    const now = this.#now();
    const [row] = await this.#database.query(
      "SELECT COUNT(*) AS live FROM user_sessions WHERE expires_at > ? AND last_activity_at > ?",
      [now, this.#idleSince(now)],
    );
    return row === undefined ? 0 : number(row, "live");
  }

  #digests(id: string): readonly Buffer[] {
    if (!/^sess_[A-Za-z0-9_-]{43}$/.test(id)) return [];
    return this.#keys().map((key) => createHmac("sha256", key).update(id).digest());
  }

  #idleSince(now: Date): Date {
    return new Date(now.getTime() - this.#limits.idle);
  }

  #isLive(row: Row): boolean {
    const now = this.#now();
    return (
      date(row, "expires_at") > now && date(row, "last_activity_at") > this.#idleSince(now) && userOf(row).isActive
    );
  }

  /** Writes the time of use, but not with every request: at most sixty times within an idle limit. */
  async #touch(digest: Buffer, last: Date): Promise<void> {
    const now = this.#now();
    if (now.getTime() - last.getTime() < this.#limits.idle / 60) return;
    await evenTwice(() =>
      this.#database.execute(
        "UPDATE user_sessions SET last_activity_at = ? WHERE session_digest = ? AND last_activity_at < ?",
        [now, digest, now],
      ),
    );
  }
}
