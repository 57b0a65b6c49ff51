import { CommitInDoubt } from "../core/errors.ts";
import { type Database, DuplicateEntry, type Row } from "../core/ports.ts";
import { open, seal, slotDigest, slotKey } from "../crypto/index.ts";
import type { DataKeys } from "../keys/index.ts";
import { makeSlot } from "../tokens/index.ts";

/** PCI DSS 3.3.2: verification codes before authorisation, encrypted; here at most 15 minutes. */
export const slotLife = 15 * 60_000;

/**
 * Card verification codes on their way from the shopper to the gateway. A slot is released once, whoever asks first, and its row
 * is deleted then or after its time. The row opens only with the data key and the slot's name together, and the name is not in
 * the database.
 */
export class CvvSlots {
  readonly #database: Database;
  readonly #keys: DataKeys;
  readonly #tenant: string;
  readonly #life: number;

  constructor(parts: {
    readonly database: Database;
    readonly keys: DataKeys;
    readonly tenant: string;
    readonly life?: number;
  }) {
    this.#database = parts.database;
    this.#keys = parts.keys;
    this.#tenant = parts.tenant;
    this.#life = Math.min(parts.life ?? slotLife, slotLife);
  }

  /** Keeps each code and gives the slots' names, once the rows are durable. */
  async keep(codes: readonly string[]): Promise<readonly string[]> {
    if (codes.length === 0) return [];
    const data = await this.#keys.forEncryption(codes.length);
    const digestKey = this.#keys.digestKey();
    const slots = codes.map(() => makeSlot());
    const values = slots.flatMap((slot, index) => [
      slotDigest(digestKey.key, this.#tenant, slot),
      seal(slotKey(data.key, slot), codes[index] ?? "", { tenant: this.#tenant, token: slot, column: "cvv" }),
      data.keyId,
      this.#life * 1000,
    ]);
    const places = slots.map(() => "(?, ?, ?, TIMESTAMPADD(MICROSECOND, ?, CURRENT_TIMESTAMP(3)))").join(", ");
    const insert = (): Promise<unknown> =>
      this.#database.execute(
        `INSERT INTO cvv_slots (slot_digest, cvv_encrypted, encryption_key_id, expires_at) VALUES ${places}`,
        values,
      );
    try {
      await insert();
    } catch (error) {
      if (!(error instanceof CommitInDoubt)) throw error;
      // Slots have 256 random bits: rows that are there are these, from the first time.
      await insert().catch((second: unknown) => {
        if (!(second instanceof DuplicateEntry)) throw second;
      });
    }
    return slots;
  }

  /** The code of a slot, which is gone with this call; undefined if there is none, it was released before, or its time is over. */
  async release(slot: string): Promise<string | undefined> {
    // Another replica may have made the slot by a digest key that this one doesn't know yet.
    const row =
      (await this.#take(slot)) ?? ((await this.#keys.catchUp()) === "changed" ? await this.#take(slot) : undefined);
    if (row === undefined || Number(row["live"]) !== 1) return undefined;
    const key = await this.#keys.byId(row["encryption_key_id"] as string);
    return open(slotKey(key, slot), row["cvv_encrypted"] as Buffer, {
      tenant: this.#tenant,
      token: slot,
      column: "cvv",
    });
  }

  /** The row of a slot, which is deleted with this call. */
  async #take(slot: string): Promise<Row | undefined> {
    const keys = await this.#keys.digestKeys();
    const digests = keys.map(({ key }) => slotDigest(key, this.#tenant, slot));
    const places = digests.map(() => "?").join(", ");
    return this.#database.transaction(async (session) => {
      const [found] = await session.query(
        `SELECT cvv_encrypted, encryption_key_id, expires_at > CURRENT_TIMESTAMP(3) AS live FROM cvv_slots
         WHERE slot_digest IN (${places}) FOR UPDATE`,
        digests,
      );
      if (found !== undefined) await session.execute(`DELETE FROM cvv_slots WHERE slot_digest IN (${places})`, digests);
      return found;
    });
  }

  /** Deletes slots whose time is over. @returns how many */
  async deleteExpired(): Promise<number> {
    const { affectedRows } = await this.#database.execute(
      "DELETE FROM cvv_slots WHERE expires_at <= CURRENT_TIMESTAMP(3) LIMIT 1000",
    );
    return affectedRows;
  }
}
