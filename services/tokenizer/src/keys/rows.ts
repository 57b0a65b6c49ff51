import { randomBytes } from "node:crypto";
import type { DatabaseSession, KeyFacts, KeyState, KeyType, Row } from "../core/ports.ts";

/** A row of encryption_keys. KEK rows are facts only: no key lies in them, wrapped or not. */
export interface KeyRow {
  readonly keyId: string;
  readonly keyType: KeyType | "HMAC";
  readonly version: number;
  readonly wrapped: string | null;
  readonly kekVersion: number | null;
  readonly status: KeyState;
  readonly createdAt: Date;
  readonly activatedAt: Date | undefined;
  readonly retiredAt: Date | undefined;
}

const columns =
  "key_id, key_type, key_version, encrypted_key, kek_version, key_status, created_at, activated_at, retired_at";

function keyRow(row: Row): KeyRow {
  return {
    keyId: row["key_id"] as string,
    keyType: row["key_type"] as KeyRow["keyType"],
    version: Number(row["key_version"]),
    wrapped: row["encrypted_key"] as string | null,
    kekVersion: row["kek_version"] === null ? null : Number(row["kek_version"]),
    status: row["key_status"] as KeyState,
    createdAt: row["created_at"] as Date,
    activatedAt: (row["activated_at"] as Date | null) ?? undefined,
    retiredAt: (row["retired_at"] as Date | null) ?? undefined,
  };
}

/** All keys, the newest version of each type first. There are few: one a rotation. */
export async function readKeys(session: DatabaseSession): Promise<readonly KeyRow[]> {
  const rows = await session.query(`SELECT ${columns} FROM encryption_keys ORDER BY created_at DESC, id DESC`);
  return rows.map(keyRow);
}

export function activeKey(rows: readonly KeyRow[], type: KeyRow["keyType"]): KeyRow | undefined {
  return rows.find((row) => row.keyType === type && row.status === "active");
}

export function newId(prefix: "dek" | "hmac" | "rot"): string {
  return `${prefix}_${randomBytes(9).toString("base64url")}`;
}

/**
 * Id of the active digest key, which stays the active one until the session's transaction ends: a rotation waits for it. So
 * what a transaction finds and writes by this key's digests comes wholly before a rotation, or wholly after it.
 *
 * @returns undefined while there is none
 */
export async function holdDigestKey(session: DatabaseSession): Promise<string | undefined> {
  const [row] = await session.query(
    "SELECT key_id FROM encryption_keys WHERE key_type = 'HMAC' AND active_slot = 1 FOR SHARE",
  );
  return row?.["key_id"] as string | undefined;
}

/** Adds an active data key. The unique index refuses it while another one of its type is active. */
export async function insertKey(
  session: DatabaseSession,
  type: "DEK" | "HMAC",
  wrapped: { readonly wrapped: string; readonly kekVersion: number },
): Promise<string> {
  const keyId = newId(type === "DEK" ? "dek" : "hmac");
  await session.execute(
    `INSERT INTO encryption_keys (key_id, key_type, key_version, encrypted_key, kek_version, key_status, activated_at)
     SELECT ?, ?, COALESCE(MAX(key_version), 0) + 1, ?, ?, 'active', CURRENT_TIMESTAMP(3) FROM encryption_keys WHERE key_type = ?`,
    [keyId, type, wrapped.wrapped, wrapped.kekVersion, type],
  );
  return keyId;
}

/** Notes that a version of the key-encryption key exists and wraps new data keys; the one before is `rotating`. */
export async function noteKek(session: DatabaseSession, version: number): Promise<void> {
  const [known] = await session.query(
    "SELECT key_status FROM encryption_keys WHERE key_type = 'KEK' AND key_version = ?",
    [version],
  );
  if (known !== undefined) return;
  await session.execute(
    "UPDATE encryption_keys SET key_status = 'rotating' WHERE key_type = 'KEK' AND key_status = 'active' AND key_version < ?",
    [version],
  );
  await session.execute(
    `INSERT INTO encryption_keys (key_id, key_type, key_version, key_status, activated_at)
     VALUES (?, 'KEK', ?, 'active', CURRENT_TIMESTAMP(3))`,
    [`kek_v${version}`, version],
  );
}

/** Facts for the management API; counts only where they are asked for. */
export function keyFacts(row: KeyRow, counts: { cards?: number; deks?: number }): KeyFacts {
  if (row.keyType === "HMAC") throw new TypeError("a digest key has no facts in the contract");
  return {
    keyId: row.keyId,
    keyType: row.keyType,
    version: row.version,
    status: row.status,
    createdAt: row.createdAt,
    ...(row.activatedAt === undefined ? {} : { activatedAt: row.activatedAt }),
    ...(row.retiredAt === undefined ? {} : { retiredAt: row.retiredAt }),
    ...(row.keyType === "DEK" ? { cardsEncrypted: counts.cards ?? 0 } : { provider: "vault-transit" }),
    ...(row.keyType === "DEK" && row.kekVersion !== null ? { kekVersion: row.kekVersion } : {}),
    ...(row.keyType === "KEK" ? { wrappedDeks: counts.deks ?? 0 } : {}),
  };
}
