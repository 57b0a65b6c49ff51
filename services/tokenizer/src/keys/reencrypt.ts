import type { KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CiphertextRejected } from "../core/errors.ts";
import type { Database, Log, Row } from "../core/ports.ts";
import { open, seal } from "../crypto/index.ts";
import type { KeyRing } from "./ring.ts";

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
 * Encrypts the rows of every older data key under the active one. It works in small transactions that change a row only if
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

/** @returns how many rows did not open under their key; they are left as they are */
async function moveRows(
  parts: ReencryptParts,
  rotationId: string,
  old: { readonly keyId: string; readonly key: KeyObject },
  rows: readonly Row[],
): Promise<number> {
  const next = await parts.ring.forEncryption(rows.length * 2);
  const moved: { id: number; card: Buffer; holder: Buffer | null }[] = [];
  for (const row of rows) {
    try {
      moved.push({ id: Number(row["id"]), ...translated(parts.tenant, old.key, next.key, row) });
    } catch (error) {
      if (!(error instanceof CiphertextRejected)) throw error;
      parts.log.error({ rotation: rotationId, row: Number(row["id"]) }, "a stored card does not open under its key");
    }
  }
  await parts.database.transaction(async (session) => {
    let changed = 0;
    for (const { id, card, holder } of moved) {
      const { affectedRows } = await session.execute(
        `UPDATE credit_cards SET card_number_encrypted = ?, card_holder_name_encrypted = ?, encryption_key_id = ?, updated_at = updated_at
         WHERE id = ? AND encryption_key_id = ?`,
        [card, holder, next.keyId, id, old.keyId],
      );
      changed += affectedRows;
    }
    await session.execute(
      "UPDATE key_rotation_log SET cards_rotated = COALESCE(cards_rotated, 0) + ? WHERE rotation_id = ?",
      [changed, rotationId],
    );
  });
  return rows.length - moved.length;
}

function translated(tenant: string, from: KeyObject, to: KeyObject, row: Row): { card: Buffer; holder: Buffer | null } {
  const token = row["token"] as string;
  const holder = row["card_holder_name_encrypted"] as Buffer | null;
  const cardBinding = { tenant, token, column: "card_number" } as const;
  const holderBinding = { tenant, token, column: "card_holder_name" } as const;
  return {
    card: seal(to, open(from, row["card_number_encrypted"] as Buffer, cardBinding), cardBinding),
    holder: holder === null ? null : seal(to, open(from, holder, holderBinding), holderBinding),
  };
}
