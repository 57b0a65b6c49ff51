import { createHash, type KeyObject } from "node:crypto";
import { type InUse, keyDigest, keyGroups } from "@tokenshield/rotation";
import { evenTwice, KeysUnavailable } from "../core/errors.ts";
import type { Database, DatabaseSession, Meters } from "../core/ports.ts";
import { secretKey } from "../crypto/index.ts";
import { activeKey, insertKey, type KeyRow, noteKek, readKeys } from "./rows.ts";
import type { KeyService } from "./vault.ts";

/** A data key in memory. */
export interface LoadedKey {
  readonly keyId: string;
  readonly key: KeyObject;
}

/** The keys that the card store works with. Rejects with KeysUnavailable or StoreUnavailable. */
export interface DataKeys {
  /** The active data key, for `count` encryptions, which are counted against its limit. */
  forEncryption(count: number): Promise<LoadedKey>;
  /** The data key of a stored row, whatever its state. */
  byId(keyId: string): Promise<KeyObject>;
  /** The key of the digests by which a card is found again. */
  digestKey(): LoadedKey;
  /** Every digest key that rows or slots may have been made with, the active one first. */
  digestKeys(): Promise<readonly [LoadedKey, ...LoadedKey[]]>;
  /** Takes over what other replicas changed. Says whether the active digest key is another one than before. */
  catchUp(): Promise<"same" | "changed">;
}

/** NIST SP 800-38D section 8.3 allows 2^32 random nonces under one key; half of it, as the contract says. */
export const useLimit = 2 ** 31;

/** Uses that one process takes at a time; what a process doesn't need of them is lost, which 2^31 can bear. */
const useBlock = 65_536;

/** What makes the next data key when the active one has no uses left. */
export type Renew = (exhausted: string) => Promise<void>;

/** A name for GET_LOCK, which holds for the whole server: of this tenant only, at most 64 characters. */
export function lockName(purpose: "keys" | "rewrap" | "reencrypt" | "sweep", tenant: string): string {
  return `tokenshield.${purpose}.${createHash("sha256").update(tenant).digest("hex").slice(0, 24)}`;
}

/** Life of a slot with a verification code, which isn't digested anew. Milliseconds. */
const slotLife = 15 * 60_000;

/** Whether a digest key may still be behind a row, until a rotation has ended, or behind a slot, a quarter of an hour longer. */
function isDigestOfSomething({ keyType, status, retiredAt }: KeyRow): boolean {
  if (keyType !== "HMAC" || status === "compromised") return false;
  return status !== "retired" || retiredAt === undefined || Date.now() - retiredAt.getTime() < slotLife + 60_000;
}

/**
 * The data keys in memory: the active ones, and those of older rows once they are needed. In clear they exist nowhere else.
 */
export class KeyRing implements DataKeys {
  readonly #database: Database;
  readonly #service: KeyService;
  readonly #tenant: string;
  readonly #meters: Meters;
  readonly #limit: number;
  readonly #block: number;
  readonly #opened = new Map<string, Promise<KeyObject>>();
  #rows: readonly KeyRow[] = [];
  #data: LoadedKey | undefined;
  #digest: LoadedKey | undefined;
  #uses = 0;
  #reserving: Promise<void> | undefined;
  #renew: Renew | undefined;

  constructor(parts: {
    readonly database: Database;
    readonly service: KeyService;
    readonly tenant: string;
    readonly meters: Meters;
    /** For tests: encryptions under one data key, and how many a process takes at a time. */
    readonly uses?: { readonly limit: number; readonly block: number };
  }) {
    this.#database = parts.database;
    this.#service = parts.service;
    this.#tenant = parts.tenant;
    this.#meters = parts.meters;
    this.#limit = parts.uses?.limit ?? useLimit;
    this.#block = parts.uses?.block ?? useBlock;
  }

  set renew(renew: Renew) {
    this.#renew = renew;
  }

  get rows(): readonly KeyRow[] {
    return this.#rows;
  }

  loaded(): boolean {
    return this.#data !== undefined && this.#digest !== undefined;
  }

  /** Loads the active keys, after making them if there are none; of several replicas one makes them (data plane, defect 37). */
  async start(): Promise<void> {
    await this.refresh();
    if (this.loaded()) return;
    const done = await this.#database.withLock(lockName("keys", this.#tenant), 30, async (session) => {
      await this.#makeMissing(session);
      return true;
    });
    if (done === undefined) throw new KeysUnavailable("another replica has been making keys for 30 seconds");
    await this.refresh();
    if (!this.loaded()) throw new KeysUnavailable("there is no active data key");
  }

  /** Takes over what other replicas changed. */
  async refresh(): Promise<void> {
    const rows = await readKeys(this.#database);
    this.#rows = rows;
    this.#digest = await this.#current(activeKey(rows, "HMAC"), this.#digest);
    const before = this.#data?.keyId;
    this.#data = await this.#current(activeKey(rows, "DEK"), this.#data);
    if (this.#data?.keyId !== before) this.#uses = 0;
    for (const type of ["KEK", "DEK"] as const) {
      const active = activeKey(rows, type);
      if (active !== undefined) this.#meters.keyAge(type, (Date.now() - active.createdAt.getTime()) / 1000);
    }
  }

  async forEncryption(count: number): Promise<LoadedKey> {
    // Each round ends with uses, with a new key, or with an error; two replicas may race for the last uses of a key.
    for (let round = 0; round < 5; round++) {
      const key = this.#data;
      if (key === undefined) throw new KeysUnavailable("no data key is loaded");
      if (this.#uses >= count) {
        this.#uses -= count;
        this.#meters.dekUses(count);
        return key;
      }
      this.#reserving ??= this.#reserve(key.keyId, Math.max(this.#block, count)).finally(
        () => (this.#reserving = undefined),
      );
      await this.#reserving;
    }
    throw new KeysUnavailable("no uses of the data key could be had");
  }

  async byId(keyId: string): Promise<KeyObject> {
    if (this.#data?.keyId === keyId) return this.#data.key;
    let row = this.#rows.find((known) => known.keyId === keyId);
    if (row === undefined) {
      await this.refresh();
      row = this.#rows.find((known) => known.keyId === keyId);
    }
    if (row === undefined) throw new KeysUnavailable("a row names a data key that does not exist");
    return this.#open(row);
  }

  digestKey(): LoadedKey {
    if (this.#digest === undefined) throw new KeysUnavailable("no digest key is loaded");
    return this.#digest;
  }

  async digestKeys(): Promise<readonly [LoadedKey, ...LoadedKey[]]> {
    const active = this.digestKey();
    const older = this.#rows.filter((row) => row.keyId !== active.keyId && isDigestOfSomething(row));
    if (older.length === 0) return [active];
    return [
      active,
      ...(await Promise.all(older.map(async (row) => ({ keyId: row.keyId, key: await this.#open(row) })))),
    ];
  }

  /** What this process encrypts with: the version that wraps its data key, and the data key; both without a value. */
  inUse(): readonly InUse[] {
    const row = this.#rows.find(({ keyId }) => keyId === this.#data?.keyId);
    if (row === undefined || row.kekVersion === null) return [];
    const told = (group: string, generation: number, id: string | number): InUse => ({
      group,
      generation,
      digest: keyDigest(this.#tenant, group, id),
      beside: undefined,
    });
    return [told(keyGroups.kek, row.kekVersion, row.kekVersion), told(keyGroups.dek, row.version, row.keyId)];
  }

  async catchUp(): Promise<"same" | "changed"> {
    const before = this.#digest?.keyId;
    await this.refresh();
    return this.#digest?.keyId === before ? "same" : "changed";
  }

  async #current(row: KeyRow | undefined, known: LoadedKey | undefined): Promise<LoadedKey | undefined> {
    if (row === undefined) return undefined;
    return row.keyId === known?.keyId ? known : { keyId: row.keyId, key: await this.#open(row) };
  }

  #open(row: KeyRow): Promise<KeyObject> {
    const known = this.#opened.get(row.keyId);
    if (known !== undefined) return known;
    if (row.wrapped === null || row.status === "compromised") {
      return Promise.reject(
        new KeysUnavailable("a data key cannot be opened: it has no wrapped form, or is compromised"),
      );
    }
    const opened = this.#service.unwrap(row.wrapped).then(secretKey);
    this.#opened.set(row.keyId, opened);
    // A failure isn't kept: the next caller asks again.
    opened.catch(() => this.#opened.delete(row.keyId));
    return opened;
  }

  async #makeMissing(session: DatabaseSession): Promise<void> {
    const rows = await readKeys(session);
    for (const type of ["HMAC", "DEK"] as const) {
      if (activeKey(rows, type) !== undefined) continue;
      const made = await this.#service.create();
      await noteKek(session, made.kekVersion);
      const keyId = await insertKey(session, type, made);
      this.#opened.set(keyId, Promise.resolve(secretKey(made.key)));
    }
  }

  async #reserve(keyId: string, count: number): Promise<void> {
    // Uses that are reserved twice are lost, like those that a process doesn't need.
    const { affectedRows } = await evenTwice(() =>
      this.#database.execute(
        `UPDATE encryption_keys SET uses_reserved = uses_reserved + ?
         WHERE key_id = ? AND key_status = 'active' AND uses_reserved + ? <= ?`,
        [count, keyId, count, this.#limit],
      ),
    );
    if (affectedRows === 1) {
      if (this.#data?.keyId === keyId) this.#uses += count;
      return;
    }
    await this.refresh();
    if (this.#data?.keyId === keyId) await this.#renew?.(keyId);
  }
}
