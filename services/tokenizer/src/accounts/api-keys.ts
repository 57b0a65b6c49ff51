import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { evenTwice } from "../core/errors.ts";
import type { Database, Row } from "../core/ports.ts";
import { type AuditLog, bytes, date, optional, text, texts, truth } from "../storage/index.ts";
import { AccountError } from "./errors.ts";
import { expand, isKeyPermission, mayGrant, type Permission } from "./permissions.ts";
import { type Actor, type User, userColumns, userOf } from "./users.ts";

/** A key for a program, without its secret part. */
export interface ApiKey {
  /** Public part, `ts_` and twelve characters. */
  readonly keyId: string;
  readonly clientName: string;
  /** As given: coarse words or names of permissions. */
  readonly permissions: readonly string[];
  readonly isActive: boolean;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | undefined;
}

/** A whole key that is valid, and its owner. */
export interface FoundKey {
  readonly key: ApiKey;
  readonly owner: User;
}

const columns =
  "key_id, client_name, k.permissions AS key_permissions, k.is_active AS key_active, k.created_at AS key_created, k.last_used_at";
const whole = /^(ts_[A-Za-z0-9]{12})\.([A-Za-z0-9_-]{43})$/;
const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/** The digest of a key's secret part. It has 256 random bits, so a plain SHA-256 cannot be guessed back. */
const digestOf = (secret: string): Buffer => createHash("sha256").update(secret).digest();

function keyOf(row: Row): ApiKey {
  return {
    keyId: text(row, "key_id"),
    clientName: text(row, "client_name"),
    permissions: texts(row, "key_permissions"),
    isActive: truth(row, "key_active"),
    createdAt: date(row, "key_created"),
    lastUsedAt: optional(date, row, "last_used_at"),
  };
}

/** API keys. A key is shown whole once; the table holds its public part and a digest. */
export class ApiKeys {
  readonly #database: Database;
  readonly #audit: AuditLog;
  readonly #now: () => Date;

  constructor(database: Database, audit: AuditLog, now: () => Date) {
    this.#database = database;
    this.#audit = audit;
    this.#now = now;
  }

  /** All keys, newest first, revoked ones included. */
  async list(): Promise<readonly ApiKey[]> {
    return (
      await this.#database.query(`SELECT ${columns} FROM api_keys k ORDER BY k.created_at DESC, key_id DESC`)
    ).map(keyOf);
  }

  /**
   * Creates a key for a user and gives it whole, for the only time.
   *
   * @throws AccountError `invalid` for an unknown permission, `forbidden` if the caller lacks one of them
   */
  async create(
    clientName: string,
    permissions: readonly string[],
    ownerId: string,
    actor: Actor,
  ): Promise<{ key: ApiKey; whole: string }> {
    if (!permissions.every(isKeyPermission)) {
      throw new AccountError("invalid", "names a permission that does not exist", { field: "permissions" });
    }
    if (!mayGrant(actor.granted, expand(permissions))) {
      throw new AccountError("forbidden", "You cannot grant permissions that you do not have");
    }
    const keyId = `ts_${Array.from(randomBytes(12), (byte) => alphabet.charAt(byte % alphabet.length)).join("")}`;
    const secret = randomBytes(32).toString("base64url");
    const key = {
      keyId,
      clientName,
      permissions: [...new Set(permissions)],
      isActive: true,
      createdAt: this.#now(),
      lastUsedAt: undefined,
    };
    await this.#database.transaction(async (session) => {
      await session.execute(
        "INSERT INTO api_keys (key_id, secret_digest, client_name, permissions, user_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        [keyId, digestOf(secret), clientName, JSON.stringify(key.permissions), ownerId, key.createdAt],
      );
      await this.#audit.appendIn(session, [event("api_key.create", actor, keyId, { owner: ownerId })]);
    });
    return { key, whole: `${keyId}.${secret}` };
  }

  /**
   * Revokes a key; again is no error.
   *
   * @param key public part or whole key
   * @throws AccountError `not-found`
   */
  async revoke(key: string, actor: Actor): Promise<void> {
    const keyId = whole.exec(key)?.[1] ?? key;
    await this.#database.transaction(async (session) => {
      const [row] = await session.query("SELECT is_active FROM api_keys WHERE key_id = ? FOR UPDATE", [keyId]);
      if (row === undefined) throw new AccountError("not-found", "No such API key");
      if (!truth(row, "is_active")) return;
      await session.execute("UPDATE api_keys SET is_active = FALSE WHERE key_id = ?", [keyId]);
      await this.#audit.appendIn(session, [event("api_key.revoke", actor, keyId, {})]);
    });
  }

  /** The key and its owner if a whole key is right, not revoked, and its owner active. */
  async find(value: string): Promise<FoundKey | undefined> {
    const [, keyId, secret] = whole.exec(value) ?? [];
    if (keyId === undefined || secret === undefined) return undefined;
    const [row] = await this.#database.query(
      `SELECT ${columns}, secret_digest, ${userColumns.replaceAll(/[a-z_]+/g, "u.$&")} FROM api_keys k JOIN users u ON u.user_id = k.user_id WHERE key_id = ?`,
      [keyId],
    );
    if (row === undefined || !timingSafeEqual(bytes(row, "secret_digest"), digestOf(secret))) return undefined;
    const key = keyOf(row);
    const owner = userOf(row);
    if (!key.isActive || !owner.isActive) return undefined;
    await this.#touch(key);
    return { key, owner };
  }

  /** Writes the time of use once a minute at most. */
  async #touch(key: ApiKey): Promise<void> {
    const now = this.#now();
    if (key.lastUsedAt !== undefined && now.getTime() - key.lastUsedAt.getTime() < 60_000) return;
    await evenTwice(() =>
      this.#database.execute("UPDATE api_keys SET last_used_at = ? WHERE key_id = ?", [now, key.keyId]),
    );
  }
}

/** What a key may do: what its own list and its owner both allow. */
export function keyPermissions(own: readonly string[], owner: ReadonlySet<Permission>): ReadonlySet<Permission> {
  const listed = expand(own);
  // An admin's key with a narrow list stays narrow; an admin list of a narrow owner grants what the owner has.
  if (owner.has("system.admin"))
    return new Set([...listed].filter((name) => name !== "tokens.reveal" || owner.has(name)));
  return new Set(
    [...owner].filter((name) => listed.has(name) || (listed.has("system.admin") && name !== "tokens.reveal")),
  );
}

function event(
  action: string,
  actor: Actor,
  keyId: string,
  details: Readonly<Record<string, string>>,
): Parameters<AuditLog["append"]>[0][number] {
  return {
    action,
    actor: actor.name,
    sourceIp: actor.sourceIp,
    resourceType: "api_key",
    resourceId: keyId,
    result: "success",
    details,
  };
}
