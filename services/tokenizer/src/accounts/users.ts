import { randomBytes } from "node:crypto";
import {
  type AuditEvent,
  type Database,
  type DatabaseSession,
  DuplicateEntry,
  type Row,
  type SqlValue,
} from "../core/ports.ts";
import { type AuditLog, date, number, optional, text, texts, truth } from "../storage/index.ts";
import { AccountError } from "./errors.ts";
import { passwordFault, hashPassword, passwordMatches, rememberedPasswords } from "./passwords.ts";
import {
  allows,
  isPermission,
  mayGrant,
  type Permission,
  type Role,
  rolePermissions,
  roles,
  userPermissions,
} from "./permissions.ts";

/** An account, without its password. */
export interface User {
  readonly userId: string;
  readonly username: string;
  readonly email: string;
  readonly fullName: string;
  readonly role: Role;
  /** The account's own list, beside what the role grants. */
  readonly permissions: readonly Permission[];
  readonly isActive: boolean;
  readonly isBuiltIn: boolean;
  readonly mustChangePassword: boolean;
  readonly createdAt: Date;
  readonly lastLoginAt: Date | undefined;
}

/** Who changes an account: for the audit log, and for what may be granted. */
export interface Actor {
  readonly name: string;
  /** Undefined for callers that are no user. */
  readonly userId: string | undefined;
  readonly sourceIp: string;
  readonly granted: ReadonlySet<Permission>;
}

export interface NewUser {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly fullName?: string | undefined;
  readonly role?: Role | undefined;
  readonly permissions?: readonly string[] | undefined;
  readonly mustChangePassword: boolean;
}

export interface UserChange {
  readonly email?: string | undefined;
  readonly fullName?: string | undefined;
  readonly role?: Role | undefined;
  readonly permissions?: readonly string[] | undefined;
  readonly isActive?: boolean | undefined;
}

export const userColumns =
  "user_id, username, email, full_name, role, permissions, is_active, is_built_in, must_change_password, created_at, last_login_at";

/** Name of the built-in account. */
export const builtInName = "admin";

/** Length from which on a password counts as a generated one; 32 letters and digits are 190 bits. */
const generatedLength = 32;

export function userOf(row: Row): User {
  const role = roles.find((name) => name === row["role"]);
  if (role === undefined) throw new TypeError("a user has an unknown role");
  return {
    userId: text(row, "user_id"),
    username: text(row, "username"),
    email: text(row, "email"),
    fullName: text(row, "full_name"),
    role,
    permissions: texts(row, "permissions").filter(isPermission),
    isActive: truth(row, "is_active"),
    isBuiltIn: truth(row, "is_built_in"),
    mustChangePassword: truth(row, "must_change_password"),
    createdAt: date(row, "created_at"),
    lastLoginAt: optional(date, row, "last_login_at"),
  };
}

const notFound = (): AccountError => new AccountError("not-found", "No such user");

function checkedPermissions(role: Role, list: readonly string[]): readonly Permission[] {
  const unknown = list.filter((word) => !isPermission(word));
  if (unknown.length > 0)
    throw new AccountError("invalid", "names a permission that does not exist", { field: "permissions" });
  if (role === "viewer" && list.includes("tokens.reveal")) {
    throw new AccountError("invalid", "a viewer cannot have tokens.reveal", { field: "permissions" });
  }
  return [...new Set(list.filter(isPermission))];
}

/** The accounts. Every change leaves a row in the audit log, in the same transaction. */
export class Users {
  readonly #database: Database;
  readonly #audit: AuditLog;
  readonly #now: () => Date;

  constructor(database: Database, audit: AuditLog, now: () => Date) {
    this.#database = database;
    this.#audit = audit;
    this.#now = now;
  }

  /** All accounts, newest first. */
  async list(): Promise<readonly User[]> {
    return (await this.#database.query(`SELECT ${userColumns} FROM users ORDER BY created_at DESC, user_id DESC`)).map(
      userOf,
    );
  }

  /**
   * @param name user name or user_id
   * @throws AccountError `not-found`
   */
  async get(name: string): Promise<User> {
    const [row] = await this.#database.query(
      `SELECT ${userColumns} FROM users WHERE user_id = ? OR username = ? LIMIT 1`,
      [name, name],
    );
    if (row === undefined) throw notFound();
    return userOf(row);
  }

  /** @throws AccountError `invalid`, `exists`, `forbidden` */
  async create(user: NewUser, actor: Actor): Promise<User> {
    const role = user.role ?? "viewer";
    const list = checkedPermissions(role, user.permissions ?? rolePermissions[role]);
    if (!mayGrant(actor.granted, userPermissions(role, list))) {
      throw new AccountError("forbidden", "You cannot grant permissions that you do not have");
    }
    const fault = passwordFault(user.password);
    if (fault !== undefined) throw new AccountError("invalid", fault, { field: "password" });
    const hash = await hashPassword(user.password);
    const now = this.#now();
    const created: User = {
      userId: `usr_${randomBytes(12).toString("base64url")}`,
      username: user.username,
      email: user.email,
      fullName: user.fullName ?? "",
      role,
      permissions: list,
      isActive: true,
      isBuiltIn: false,
      mustChangePassword: user.mustChangePassword,
      createdAt: now,
      lastLoginAt: undefined,
    };
    await this.#database
      .transaction(async (session) => {
        await insert(session, created, hash, actor.userId ?? null);
        await this.#log(session, "user.create", actor, created.userId, {
          role,
          must_change_password: created.mustChangePassword,
        });
      })
      .catch(duplicate);
    return created;
  }

  /**
   * Changes the fields that are given. A change of role without a list of permissions gives the new role's list. A change of role,
   * permissions or activity ends the account's sessions.
   *
   * @throws AccountError `not-found`, `invalid`, `exists`, `forbidden`, `last-admin`
   */
  async update(name: string, change: UserChange, actor: Actor): Promise<void> {
    await this.#database
      .transaction(async (session) => {
        const user = await locked(session, name);
        const role = change.role ?? user.role;
        const list =
          change.permissions !== undefined || change.role !== undefined
            ? checkedPermissions(role, change.permissions ?? rolePermissions[role])
            : user.permissions;
        const after = userPermissions(role, list);
        guard(user, after, actor);
        const isActive = change.isActive ?? user.isActive;
        const wasAdmin = user.isActive && allows(userPermissions(user.role, user.permissions), "system.admin");
        if (wasAdmin && !(isActive && allows(after, "system.admin"))) await this.#keepOneAdmin(session, user);
        const values: SqlValue[] = [
          change.email ?? user.email,
          change.fullName ?? user.fullName,
          role,
          JSON.stringify(list),
          isActive,
        ];
        await session.execute(
          "UPDATE users SET email = ?, full_name = ?, role = ?, permissions = ?, is_active = ?, updated_at = ? WHERE user_id = ?",
          [...values, this.#now(), user.userId],
        );
        const powers = role !== user.role || isActive !== user.isActive || change.permissions !== undefined;
        if (powers) await session.execute("DELETE FROM user_sessions WHERE user_id = ?", [user.userId]);
        await this.#log(session, "user.update", actor, user.userId, { role, active: isActive, sessions_ended: powers });
      })
      .catch(duplicate);
  }

  /**
   * Deletes an account with its sessions and API keys.
   *
   * @throws AccountError `not-found`; `forbidden` for the built-in account, the own one and the last active admin
   */
  async delete(name: string, actor: Actor): Promise<void> {
    await this.#database.transaction(async (session) => {
      const user = await locked(session, name);
      if (user.isBuiltIn) throw new AccountError("forbidden", "The built-in account cannot be deleted");
      if (user.userId === actor.userId) throw new AccountError("forbidden", "You cannot delete your own account");
      const powers = userPermissions(user.role, user.permissions);
      guard(user, powers, actor);
      if (user.isActive && allows(powers, "system.admin")) {
        await this.#keepOneAdmin(session, user).catch((error: unknown) => {
          throw error instanceof AccountError ? new AccountError("forbidden", error.message) : error;
        });
      }
      await session.execute("DELETE FROM users WHERE user_id = ?", [user.userId]);
      await this.#log(session, "user.delete", actor, user.userId, {});
    });
  }

  /**
   * Sets the account's own new password and ends its other sessions.
   *
   * @param keep digest of the session that goes on
   * @throws AccountError `invalid` for a password that breaks the rule or was used before
   */
  async setPassword(userId: string, password: string, keep: readonly Buffer[], actor: Actor): Promise<void> {
    const fault = passwordFault(password);
    if (fault !== undefined) throw new AccountError("invalid", fault, { field: "new_password" });
    const earlier = await this.#database.query(
      `SELECT password_hash FROM users WHERE user_id = ? UNION
       (SELECT password_hash FROM password_history WHERE user_id = ? ORDER BY changed_at DESC LIMIT ?)`,
      [userId, userId, rememberedPasswords],
    );
    for (const row of earlier) {
      if (await passwordMatches(password, text(row, "password_hash"))) {
        throw new AccountError("invalid", `must differ from the last ${rememberedPasswords}`, {
          field: "new_password",
        });
      }
    }
    const hash = await hashPassword(password);
    await this.#database.transaction(async (session) => {
      const now = this.#now();
      await session.execute(
        "UPDATE users SET password_hash = ?, must_change_password = FALSE, password_changed_at = ?, updated_at = ? WHERE user_id = ?",
        [hash, now, now, userId],
      );
      await session.execute("INSERT INTO password_history (user_id, changed_at, password_hash) VALUES (?, ?, ?)", [
        userId,
        now,
        hash,
      ]);
      const kept = keep.length === 0 ? "" : ` AND session_digest NOT IN (${keep.map(() => "?").join(", ")})`;
      await session.execute(`DELETE FROM user_sessions WHERE user_id = ?${kept}`, [userId, ...keep]);
      await this.#log(session, "user.password_change", actor, userId, {});
    });
  }

  /**
   * Makes sure that the built-in admin exists. Its password comes from the operator's secret file, once: while the account has none.
   * It must be changed at the first login (PCI DSS 8.3.5). Without a password nobody can log in with it.
   *
   * @throws AccountError `invalid` if the file's password breaks the rule
   */
  async ensureBuiltIn(password: string | undefined): Promise<void> {
    const [row] = await this.#database.query("SELECT user_id, password_hash FROM users WHERE is_built_in LIMIT 1");
    if (row !== undefined && (text(row, "password_hash") !== "" || password === undefined)) return;
    // One that was generated is long, opens the account once and has to be changed: it needs no special character.
    const isLong = password !== undefined && password.length >= generatedLength;
    const fault = password === undefined || isLong ? undefined : passwordFault(password);
    if (fault !== undefined)
      throw new AccountError("invalid", `the built-in admin's password ${fault}`, { field: "admin-password" });
    const hash = password === undefined ? "" : await hashPassword(password);
    const now = this.#now();
    const event: AuditEvent = {
      action: "user.bootstrap",
      actor: "system",
      sourceIp: "",
      resourceType: "user",
      resourceId: "usr_builtin_admin",
      result: "success",
      details: { password_set: password !== undefined },
    };
    await this.#database.transaction(async (session) => {
      // Replicas that start together: the first one's row stays.
      const { affectedRows } = await session.execute(
        `INSERT INTO users (user_id, username, email, password_hash, role, permissions, is_built_in, must_change_password, created_at, updated_at)
         VALUES (?, ?, ?, ?, 'admin', ?, TRUE, TRUE, ?, ?)
         ON DUPLICATE KEY UPDATE password_hash = IF(password_hash = '', VALUES(password_hash), password_hash)`,
        [
          "usr_builtin_admin",
          builtInName,
          "admin@localhost.localdomain",
          hash,
          JSON.stringify(rolePermissions.admin),
          now,
          now,
        ],
      );
      if (affectedRows > 0) await this.#audit.appendIn(session, [event]);
    });
  }

  async #keepOneAdmin(session: DatabaseSession, leaving: User): Promise<void> {
    const [row] = await session.query(
      `SELECT COUNT(*) AS others FROM users WHERE is_active AND user_id <> ? AND password_hash <> ''
       AND (role = 'admin' OR JSON_CONTAINS(permissions, '"system.admin"'))`,
      [leaving.userId],
    );
    if (row === undefined || number(row, "others") === 0) {
      throw new AccountError("last-admin", "The last active admin cannot lose role or activity");
    }
  }

  #log(
    session: DatabaseSession,
    action: string,
    actor: Actor,
    userId: string,
    details: AuditEvent["details"],
  ): Promise<void> {
    const event = {
      action,
      actor: actor.name,
      sourceIp: actor.sourceIp,
      resourceType: "user",
      resourceId: userId,
      result: "success" as const,
      details,
    };
    return this.#audit.appendIn(session, [event]);
  }
}

/** Callers without system.admin may neither give nor change more than they have. */
function guard(user: User, after: ReadonlySet<Permission>, actor: Actor): void {
  const before = userPermissions(user.role, user.permissions);
  if (!mayGrant(actor.granted, after) || !mayGrant(actor.granted, before)) {
    throw new AccountError("forbidden", "You cannot change an account that has more permissions than you");
  }
}

/** The account, locked until the transaction ends. All admins are locked with it, so that two of them cannot both leave at once. */
async function locked(session: DatabaseSession, name: string): Promise<User> {
  await session.query("SELECT user_id FROM users WHERE role = 'admin' ORDER BY user_id FOR UPDATE");
  const [row] = await session.query(
    `SELECT ${userColumns} FROM users WHERE user_id = ? OR username = ? LIMIT 1 FOR UPDATE`,
    [name, name],
  );
  if (row === undefined) throw notFound();
  return userOf(row);
}

async function insert(session: DatabaseSession, user: User, hash: string, createdBy: string | null): Promise<void> {
  await session.execute(
    `INSERT INTO users (user_id, username, email, password_hash, full_name, role, permissions, must_change_password,
       created_at, updated_at, password_changed_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      user.userId,
      user.username,
      user.email,
      hash,
      user.fullName,
      user.role,
      JSON.stringify(user.permissions),
      user.mustChangePassword,
      user.createdAt,
      user.createdAt,
      user.createdAt,
      createdBy,
    ],
  );
  await session.execute("INSERT INTO password_history (user_id, changed_at, password_hash) VALUES (?, ?, ?)", [
    user.userId,
    user.createdAt,
    hash,
  ]);
}

function duplicate(error: unknown): never {
  if (!(error instanceof DuplicateEntry)) throw error;
  const field = error.index === "email" ? "email" : "username";
  throw new AccountError("exists", `A user with this ${field} exists already`, { field });
}
