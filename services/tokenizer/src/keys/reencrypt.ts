import type { KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CiphertextRejected } from "../core/errors.ts";
import { type Database, type DatabaseSession, DuplicateEntry, type Log, type Row } from "../core/ports.ts";
import { open, panDigest, seal } from "../crypto/index.ts";
import type { KeyRing, LoadedKey } from "./ring.ts";

const rowsPerBatch = 200;
/** Passes over the table: replicas may write under the old key for some seconds after the new one is active. */
const mostPasses = 20;
const betweenPasses = 3000;

export interface ReencryptParts {
  readonly database: Database;
  readonly ring: KeyRing;
  readonly tenant: string;
  readonly log: Log;
  /** Rows a second at most, so that the job leaves the database to the traffic. */
  readonly rowsPerSecond: number;
  readonly signal: AbortSignal;
}

/** How a run ended. `interrupted` is gone on with later, by whichever replica has the lock. */
export type ReencryptEnd = "completed" | "interrupted" | { readonly rejected: number };

/**
 * Encrypts the rows of every older data key under the active one, and digests them by the active digest key. It works in small transactions that change a row only if
 * its key is still the old one, so it may be interrupted, repeated and run beside the traffic; progress is in the rotation's row.
 */
export async function reencrypt(parts: ReencryptParts, rotationId: string): Promise<ReencryptEnd> {
  const { database, ring, signal } = parts;
  for (let pass = 0; pass < mostPasses; pass++) {
    await ring.refresh();
    let rejected = 0;
    let left = 0;
    for (const row of ring.rows) {
      if (row.keyType !== "DEK" || row.status === "active" || row.status === "compromised") continue;
      const outcome = await drainKey(parts, rotationId, row.keyId);
      if (outcome === "interrupted") return outcome;
      rejected += outcome.rejected;
      left += await countRows(database, row.keyId);
    }
    if (rejected === 0) {
      const digested = await drainDigests(parts);
      if (digested === "interrupted") return digested;
      left += digested;
    }
    if (left === 0 && pass > 0) return "completed";
    if (left > 0 && left === rejected) return { rejected };
    // One more look after the time in which every replica learns of the new key.
    await sleep(betweenPasses, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return "interrupted";
  }
  return "interrupted";
}

async function countRows(database: Database, keyId: string): Promise<number> {
  const [row] = await database.query("SELECT COUNT(*) AS total FROM credit_cards WHERE encryption_key_id = ?", [keyId]);
  return Number(row?.["total"]);
}

async function drainKey(
  parts: ReencryptParts,
  rotationId: string,
  keyId: string,
): Promise<"interrupted" | { rejected: number }> {
  const key = await parts.ring.byId(keyId);
  let after = 0;
  let rejected = 0;
  for (;;) {
    if (parts.signal.aborted) return "interrupted";
    const started = performance.now();
    const rows = await parts.database.query(
      `SELECT id, token, card_number_encrypted, card_holder_name_encrypted FROM credit_cards
       WHERE encryption_key_id = ? AND id > ? ORDER BY id LIMIT ?`,
      [keyId, after, rowsPerBatch],
    );
    if (rows.length === 0) return { rejected };
    after = Number(rows.at(-1)?.["id"]);
    rejected += await moveRows(parts, rotationId, { keyId, key }, rows);
    const least = (rows.length / parts.rowsPerSecond) * 1000;
    await sleep(Math.max(1, least - (performance.now() - started)), undefined, { signal: parts.signal }).catch(
      () => undefined,
    );
  }
}

/** Time before the new keys were active in which a replica may have digested what it wrote after; generous. Milliseconds. */
const digestLag = 60_000;

/**
 * Digests anew what a replica wrote under the new data key with a digest that it had made before.
 * @returns how many rows there were
 */
async function drainDigests(parts: ReencryptParts): Promise<"interrupted" | number> {
  const { database, ring, tenant } = parts;
  const active = ring.digestKey();
  const since = ring.rows.find(({ keyId }) => keyId === active.keyId)?.activatedAt ?? new Date(0);
  let count = 0;
  for (const { keyId } of ring.rows.filter(({ keyType, status }) => keyType === "HMAC" && status === "rotating")) {
    for (;;) {
      if (parts.signal.aborted) return "interrupted";
      const rows = await database.query(
        `SELECT id, token, card_number_encrypted, encryption_key_id FROM credit_cards
         WHERE created_at >= ? AND digest_key_id = ? LIMIT ?`,
        [new Date(since.getTime() - digestLag), keyId, rowsPerBatch],
      );
      if (rows.length === 0) break;
      count += rows.length;
      for (const row of rows) {
        const key = await ring.byId(row["encryption_key_id"] as string);
        const digits = open(key, row["card_number_encrypted"] as Buffer, bindingOf(tenant, row, "card_number"));
        const digest = panDigest(active.key, tenant, digits);
        await database.transaction((session) =>
          withReuse(digest, (reuse) =>
            session.execute(
              `UPDATE credit_cards SET pan_digest = ?, digest_key_id = ?, reuse_digest = IF(reuse_digest IS NULL, NULL, ?),
                 updated_at = updated_at WHERE id = ? AND digest_key_id = ?`,
              [digest, active.keyId, reuse, Number(row["id"]), keyId],
            ),
          ),
        );
      }
    }
  }
  return count;
}

/** Writes a row with the digest by which its token is given again; without it where another row has that already. */
async function withReuse<T>(digest: Buffer, write: (reuse: Buffer | null) => Promise<T>): Promise<T> {
  try {
    return await write(digest);
  } catch (error) {
    if (!(error instanceof DuplicateEntry)) throw error;
    return write(null);
  }
}

/** @returns how many rows did not open under their key; they are left as they are */
async function moveRows(
  parts: ReencryptParts,
  rotationId: string,
  old: { readonly keyId: string; readonly key: KeyObject },
  rows: readonly Row[],
): Promise<number> {
  const next = await parts.ring.forEncryption(rows.length * 2);
  const digestKey = parts.ring.digestKey();
  const moved: ({ id: number } & Translated)[] = [];
  for (const row of rows) {
    try {
      moved.push({
        id: Number(row["id"]),
        ...translated(parts.tenant, old.key, { data: next, digest: digestKey }, row),
      });
    } catch (error) {
      if (!(error instanceof CiphertextRejected)) throw error;
      parts.log.error({ rotation: rotationId, row: Number(row["id"]) }, "a stored card does not open under its key");
    }
  }
  await parts.database.transaction(async (session) => {
    let changed = 0;
    for (const row of moved) changed += await move(session, row, { from: old.keyId, data: next, digest: digestKey });
    await session.execute(
      "UPDATE key_rotation_log SET cards_rotated = COALESCE(cards_rotated, 0) + ? WHERE rotation_id = ?",
      [changed, rotationId],
    );
  });
  return rows.length - moved.length;
}

interface NewKeys {
  readonly data: LoadedKey;
  readonly digest: LoadedKey;
}

/** @returns 1, or 0 if somebody else has moved or deleted the row meanwhile */
async function move(
  session: DatabaseSession,
  { id, card, holder, digest }: { readonly id: number } & Translated,
  keys: NewKeys & { readonly from: string },
): Promise<number> {
  const { affectedRows } = await withReuse(digest, (reuse) =>
    session.execute(
      `UPDATE credit_cards SET card_number_encrypted = ?, card_holder_name_encrypted = ?, encryption_key_id = ?,
         pan_digest = ?, digest_key_id = ?, reuse_digest = IF(reuse_digest IS NULL, NULL, ?), updated_at = updated_at
       WHERE id = ? AND encryption_key_id = ?`,
      [card, holder, keys.data.keyId, digest, keys.digest.keyId, reuse, id, keys.from],
    ),
  );
  return affectedRows;
}

/** What a row becomes under other keys. */
interface Translated {
  readonly card: Buffer;
  readonly holder: Buffer | null;
  readonly digest: Buffer;
}

function translated(tenant: string, from: KeyObject, to: NewKeys, row: Row): Translated {
  const holder = row["card_holder_name_encrypted"] as Buffer | null;
  const cardBinding = bindingOf(tenant, row, "card_number");
  const holderBinding = bindingOf(tenant, row, "card_holder_name");
  const digits = open(from, row["card_number_encrypted"] as Buffer, cardBinding);
  return {
    card: seal(to.data.key, digits, cardBinding),
    holder: holder === null ? null : seal(to.data.key, open(from, holder, holderBinding), holderBinding),
    digest: panDigest(to.digest.key, tenant, digits),
  };
}

function bindingOf<Column extends "card_number" | "card_holder_name">(
  tenant: string,
  row: Row,
  column: Column,
): { readonly tenant: string; readonly token: string; readonly column: Column } {
  return { tenant, token: row["token"] as string, column };
}
