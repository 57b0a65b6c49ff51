import type { AuditEvent, Database, DatabaseSession, Row } from "../core/ports.ts";
import { type AuditLog, date, number, optional, text } from "../storage/index.ts";
import { AccountError } from "./errors.ts";
import type { Attempt, FailureLimiter } from "./limiter.ts";
import { passwordMatches } from "./passwords.ts";
import type { Sessions } from "./sessions.ts";
import { type Actor, type User, userColumns, userOf, type Users } from "./users.ts";

/** When an account is locked (PCI DSS 8.3.4): after at most 10 failures, for at least 30 minutes. */
export interface Lockout {
  readonly attempts: number;
  /** Milliseconds. */
  readonly duration: number;
}

/** Where a login comes from. */
export interface Origin {
  readonly ip: string;
  readonly userAgent: string;
}

export interface OpenedSession {
  readonly sessionId: string;
  readonly user: User;
  readonly expiresAt: Date;
}

const refused = (): AccountError => new AccountError("invalid-credentials", "Invalid username or password");

/** Checks passwords: counts failures for each address and each account, and leaves an audit row for each attempt. */
export class Login {
  readonly #database: Database;
  readonly #audit: AuditLog;
  readonly #users: Users;
  readonly #sessions: Sessions;
  readonly #limiter: FailureLimiter;
  readonly #lockout: Lockout;
  readonly #now: () => Date;

  constructor(parts: {
    readonly database: Database;
    readonly audit: AuditLog;
    readonly users: Users;
    readonly sessions: Sessions;
    readonly limiter: FailureLimiter;
    readonly lockout: Lockout;
    readonly now: () => Date;
  }) {
    this.#database = parts.database;
    this.#audit = parts.audit;
    this.#users = parts.users;
    this.#sessions = parts.sessions;
    this.#limiter = parts.limiter;
    this.#lockout = parts.lockout;
    this.#now = parts.now;
  }

  /**
   * Opens a session.
   *
   * @param name user name or e-mail address
   * @throws AccountError `invalid-credentials` for any wrong pair, for locked and inactive accounts alike; `rate-limited`
   */
  async login(name: string, password: string, origin: Origin): Promise<OpenedSession> {
    const attempt = await this.#limiter.begin(`login ${origin.ip}`);
    const [row] = await this.#database.query(
      "SELECT user_id FROM users WHERE username = ? OR email = ? ORDER BY username = ? DESC LIMIT 1",
      [name, name, name],
    );
    const userId = row === undefined ? undefined : text(row, "user_id");
    if (!(await this.#check(userId, password, attempt))) {
      await attempt.failed();
      await this.#audit.append([event("session.login", userId, origin, "denied")]);
      throw refused();
    }
    const opened = await this.#database.transaction((session) => this.#open(session, userId, origin));
    await attempt.succeeded();
    return opened;
  }

  /** Ends a session; an unknown one is no error. */
  async logout(sessionId: string, origin: Origin): Promise<void> {
    const userId = await this.#sessions.close(sessionId);
    if (userId !== undefined) await this.#audit.append([event("session.logout", userId, origin, "success")]);
  }

  /**
   * Changes the caller's own password; the calling session goes on, all others end.
   *
   * @throws AccountError `invalid-credentials` if the current password is wrong, `invalid`, `rate-limited`
   */
  async changePassword(
    user: User,
    current: string,
    next: string,
    keep: readonly Buffer[],
    actor: Actor,
  ): Promise<void> {
    const attempt = await this.#limiter.begin(`login ${actor.sourceIp}`);
    if (!(await this.#check(user.userId, current, attempt))) {
      await attempt.failed();
      await this.#audit.append([
        event("user.password_change", user.userId, { ip: actor.sourceIp, userAgent: "" }, "denied"),
      ]);
      throw new AccountError("invalid-credentials", "The current password is wrong");
    }
    await attempt.succeeded();
    await this.#settle(user.userId);
    await this.#users.setPassword(user.userId, next, keep, actor);
  }

  /** Whether a password opens an account. The attempt is counted before the password is looked at; one that wasn't looked at isn't. */
  async #check(userId: string | undefined, password: string, attempt: Attempt): Promise<boolean> {
    const reserved =
      userId === undefined ? undefined : await this.#database.transaction((session) => this.#reserve(session, userId));
    let matches: boolean;
    try {
      matches = await passwordMatches(password, reserved);
    } catch (error) {
      await attempt.succeeded();
      if (reserved !== undefined && userId !== undefined) await this.#giveBack(userId);
      throw error;
    }
    if (reserved === undefined || userId === undefined) return false;
    if (!matches) await this.#lock(userId);
    return matches;
  }

  async #giveBack(userId: string): Promise<void> {
    await this.#database.execute(
      "UPDATE users SET failed_logins = failed_logins - 1 WHERE user_id = ? AND failed_logins > 0",
      [userId],
    );
  }

  /** Counts an attempt. Gives the account's hash, or undefined if it is locked, inactive or gone. */
  async #reserve(session: DatabaseSession, userId: string): Promise<string | undefined> {
    const [row] = await session.query(
      "SELECT password_hash, is_active, failed_logins, locked_until FROM users WHERE user_id = ? FOR UPDATE",
      [userId],
    );
    if (row === undefined || number(row, "is_active") === 0) return undefined;
    const now = this.#now();
    const lockedUntil = optional(date, row, "locked_until");
    if (lockedUntil !== undefined && lockedUntil > now) return undefined;
    const failed = lockedUntil === undefined ? number(row, "failed_logins") : 0;
    if (failed >= this.#lockout.attempts) {
      // So many attempts are running, or ended without a word in a crash: from here on the clock decides.
      await session.execute("UPDATE users SET locked_until = ? WHERE user_id = ?", [this.#lockEnd(now), userId]);
      return undefined;
    }
    await session.execute("UPDATE users SET failed_logins = ?, locked_until = NULL WHERE user_id = ?", [
      failed + 1,
      userId,
    ]);
    return text(row, "password_hash");
  }

  async #lock(userId: string): Promise<void> {
    await this.#database.execute(
      "UPDATE users SET locked_until = ? WHERE user_id = ? AND failed_logins >= ? AND locked_until IS NULL",
      [this.#lockEnd(this.#now()), userId, this.#lockout.attempts],
    );
  }

  #lockEnd(now: Date): Date {
    return new Date(now.getTime() + this.#lockout.duration);
  }

  async #settle(userId: string): Promise<void> {
    await this.#database.execute("UPDATE users SET failed_logins = 0, locked_until = NULL WHERE user_id = ?", [userId]);
  }

  async #open(session: DatabaseSession, userId: string | undefined, origin: Origin): Promise<OpenedSession> {
    // The row's lock keeps two logins of one user from counting the same sessions.
    const [row]: readonly (Row | undefined)[] =
      userId === undefined
        ? []
        : await session.query(`SELECT ${userColumns} FROM users WHERE user_id = ? AND is_active FOR UPDATE`, [userId]);
    if (row === undefined) throw refused();
    const user = { ...userOf(row), lastLoginAt: this.#now() };
    await session.execute(
      "UPDATE users SET failed_logins = 0, locked_until = NULL, last_login_at = ? WHERE user_id = ?",
      [user.lastLoginAt, user.userId],
    );
    const { id, expiresAt } = await this.#sessions.open(session, user.userId, origin);
    await this.#audit.appendIn(session, [event("session.login", user.userId, origin, "success")]);
    return { sessionId: id, user, expiresAt };
  }
}

/** Names that don't exist are not written down: people type passwords and card numbers into the wrong field. */
function event(action: string, userId: string | undefined, origin: Origin, result: AuditEvent["result"]): AuditEvent {
  return {
    action,
    actor: userId ?? "unknown",
    sourceIp: origin.ip,
    resourceType: "user",
    resourceId: userId ?? "unknown",
    result,
    details: {},
  };
}
