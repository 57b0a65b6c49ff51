import { setTimeout as sleep } from "node:timers/promises";
import type { InUse } from "@tokenshield/rotation";
import { KeysUnavailable, RotationInProgress } from "../core/errors.ts";
import type {
  DatabaseSession,
  KeyFacts,
  Keys,
  KeyState,
  KeyType,
  Page,
  RotationFacts,
  RotationOutcome,
  RotationRequest,
} from "../core/ports.ts";
import { auditKey, type KeyStoreParts, newestKek } from "./parts.ts";
import { countsByVersion } from "./rewrap.ts";
import { type DataKeys, KeyRing, lockName } from "./ring.ts";
import { RotationLog } from "./rotation-log.ts";
import { activeKey, insertKey, keyFacts, type KeyRow, noteKek, readKeys } from "./rows.ts";
import { KeyWatch } from "./watch.ts";

type WrappedKey = { readonly wrapped: string; readonly kekVersion: number };

/**
 * The tenant's keys: the data keys in memory, and their rotations. The key-encryption key never leaves the key service and
 * is rotated by somebody else, see `KeyWatch`.
 */
export class KeyStore implements Keys {
  readonly #parts: KeyStoreParts;
  readonly #ring: KeyRing;
  readonly #rotations: RotationLog;
  readonly #watch: KeyWatch;

  constructor(parts: KeyStoreParts) {
    this.#parts = parts;
    this.#rotations = new RotationLog(parts.database);
    this.#ring = new KeyRing(parts);
    this.#watch = new KeyWatch(parts, this.#ring, this.#rotations);
    this.#ring.renew = async (exhausted) => {
      const rotationId = await this.#rotateDek("system", "no", exhausted);
      parts.log.info({ rotation: rotationId }, "the data key reached its limit of uses; a new one is active");
    };
  }

  get dataKeys(): DataKeys {
    return this.#ring;
  }

  /**
   * Loads the keys, makes the first ones if need be, and begins to watch for rotations.
   *
   * @throws KeysUnavailable, StoreUnavailable: the service must not start without its keys (data plane, defects 34 and 35)
   */
  async start(): Promise<void> {
    await this.#ring.start();
    this.#parts.meters.dependency("key_service", "up");
    this.#watch.start();
  }

  /** Ends the watch and the background work; a re-encryption goes on after the next start. */
  stop(): Promise<void> {
    return this.#watch.stop();
  }

  loaded(): boolean {
    return this.#ring.loaded();
  }

  inUse(): readonly InUse[] {
    return this.#ring.inUse();
  }

  async probe(): Promise<void> {
    await newestKek(this.#parts, this.#ring);
  }

  async status(): Promise<{ kek: KeyFacts; dek: KeyFacts }> {
    const rows = await readKeys(this.#parts.database);
    const kek = activeKey(rows, "KEK");
    const dek = activeKey(rows, "DEK");
    if (kek === undefined || dek === undefined) throw new KeysUnavailable("there is no active key");
    const [kekFacts, dekFacts] = await this.#withCounts([kek, dek]);
    if (kekFacts === undefined || dekFacts === undefined) throw new KeysUnavailable("there is no active key");
    return { kek: kekFacts, dek: dekFacts };
  }

  async list(
    filter: { readonly keyType?: KeyType; readonly status?: KeyState },
    page: Page,
  ): Promise<{ keys: readonly KeyFacts[]; total: number }> {
    const rows = (await readKeys(this.#parts.database))
      .filter((row) => row.keyType !== "HMAC")
      .filter((row) => filter.keyType === undefined || row.keyType === filter.keyType)
      .filter((row) => filter.status === undefined || row.status === filter.status)
      .sort((a, b) => b.version - a.version || a.keyType.localeCompare(b.keyType));
    return { keys: await this.#withCounts(rows.slice(page.offset, page.offset + page.limit)), total: rows.length };
  }

  rotations(limit: number): Promise<{ rotations: readonly RotationFacts[]; total: number }> {
    return this.#rotations.list(limit);
  }

  async requestRotation(request: RotationRequest, waitMilliseconds: number): Promise<RotationOutcome> {
    if (request.mode === "dry-run") return this.#dryRun();
    const running = await this.#rotations.running();
    if (running !== undefined) throw new RotationInProgress(running.rotationId);
    if (request.keyType === "DEK") {
      const rotationId = await this.#rotateDek(request.initiatedBy, request.reencrypt);
      return this.#outcome(rotationId, ["DEK"], request.reencrypt === "background" ? "running" : "none");
    }
    const before = await newestKek(this.#parts, this.#ring);
    const rotationId =
      request.keyType === "both"
        ? await this.#rotateDek(request.initiatedBy, request.reencrypt, undefined, before)
        : await this.#rotations.begin(this.#parts.database, "KEK", "requested", request.initiatedBy, {
            kekBefore: before,
          });
    await auditKey(this.#parts, "key.rotation.request", rotationId, request.initiatedBy, { key_type: request.keyType });
    await this.#waitForKek(rotationId, waitMilliseconds);
    const both = request.keyType === "both";
    return this.#outcome(
      rotationId,
      both ? ["KEK", "DEK"] : ["KEK"],
      both && request.reencrypt === "background" ? "running" : "none",
    );
  }

  /** Sees that a key can be wrapped anew, and that every one opens. */
  async #dryRun(): Promise<RotationOutcome> {
    await newestKek(this.#parts, this.#ring);
    for (const { wrapped, status } of await readKeys(this.#parts.database)) {
      if (wrapped !== null && status !== "compromised") (await this.#parts.service.unwrap(wrapped)).fill(0);
    }
    return {
      rotationId: "rot_dry_run",
      status: "completed",
      rotatedKeys: [],
      newKeys: [],
      deksRewrapped: 0,
      reencryption: "none",
      errors: [],
    };
  }

  async #waitForKek(rotationId: string, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    while (performance.now() < end && !this.#watch.signal.aborted) {
      const facts = await this.#rotations.find(rotationId);
      if (facts?.status !== "in_progress" || facts.deksRewrapped !== undefined) return;
      await sleep(Math.min(250, Math.max(1, end - performance.now())));
    }
  }

  async #outcome(
    rotationId: string,
    types: readonly KeyType[],
    reencryption: "none" | "running",
  ): Promise<RotationOutcome> {
    const facts = await this.#rotations.find(rotationId);
    const kekDone = facts?.deksRewrapped !== undefined;
    const failed = facts?.status === "failed";
    const pending = types.includes("KEK") && !kekDone && !failed;
    const rotatedKeys = types.filter((type) => (type === "DEK" ? true : kekDone && !failed));
    const keys = await readKeys(this.#parts.database);
    const fresh = rotatedKeys.flatMap((type) => activeKey(keys, type) ?? []);
    return {
      rotationId,
      status: failed ? "failed" : pending ? "pending" : "completed",
      rotatedKeys,
      newKeys: await this.#withCounts(fresh),
      deksRewrapped: facts?.deksRewrapped ?? 0,
      reencryption,
      errors: facts?.errorMessage === undefined ? [] : [facts.errorMessage],
    };
  }

  /**
   * Makes the next data key active. With `kekBefore` it is the first half of a rotation of both, which goes on when the
   * key-encryption key has a newer version.
   *
   * @param only rotates only if this key is still the active one, for two replicas that see its limit at once
   */
  async #rotateDek(
    initiatedBy: string,
    reencryption: "no" | "background",
    only?: string,
    kekBefore?: number,
  ): Promise<string> {
    const { database, service, tenant } = this.#parts;
    const made = await database.withLock(lockName("keys", tenant), 30, async (session) => {
      const old = activeKey(await readKeys(session), "DEK");
      if (only !== undefined && old?.keyId !== only) return "";
      // Counted before the new keys are made: whoever tokenizes waits for the transaction that makes them.
      const cardsTotal = reencryption === "no" ? undefined : await countCards(session);
      // Rows that are encrypted anew are digested anew too, so both keys change together.
      const fresh = {
        data: await service.create(),
        digest: reencryption === "no" ? undefined : await service.create(),
      };
      // The replicas, this one too, open them from their wrapped form.
      fresh.data.key.fill(0);
      fresh.digest?.key.fill(0);
      // At once or not at all: later the lock may be another replica's.
      return database.atOnce.transaction((inner) =>
        this.#replaceDek(inner, old, fresh, { initiatedBy, cardsTotal, kekBefore }),
      );
    });
    if (made === undefined) throw new KeysUnavailable("another replica has been making keys for 30 seconds");
    await this.#ring.refresh();
    if (made !== "") {
      this.#parts.meters.keyRotation("DEK", "completed");
      await auditKey(this.#parts, "key.rotation", made, initiatedBy, { key_type: "DEK", reencryption });
    }
    return made;
  }

  async #replaceDek(
    session: DatabaseSession,
    old: KeyRow | undefined,
    fresh: { readonly data: WrappedKey; readonly digest: WrappedKey | undefined },
    how: {
      readonly initiatedBy: string;
      /** Cards that are to be encrypted anew; undefined if none is. */
      readonly cardsTotal: number | undefined;
      readonly kekBefore: number | undefined;
    },
  ): Promise<string> {
    const { cardsTotal } = how;
    const moves = cardsTotal !== undefined;
    if (old !== undefined) {
      await session.execute(
        "UPDATE encryption_keys SET key_status = ?, retired_at = IF(? = 'retired', CURRENT_TIMESTAMP(3), NULL) WHERE key_id = ?",
        [moves ? "rotating" : "retired", moves ? "rotating" : "retired", old.keyId],
      );
    }
    await noteKek(session, fresh.data.kekVersion);
    const newKeyId = await insertKey(session, "DEK", fresh.data);
    if (fresh.digest !== undefined) {
      await session.execute(
        "UPDATE encryption_keys SET key_status = 'rotating' WHERE key_type = 'HMAC' AND key_status = 'active'",
      );
      await insertKey(session, "HMAC", fresh.digest);
    }
    const both = how.kekBefore !== undefined;
    return this.#rotations.begin(
      session,
      both ? "both" : "DEK",
      both ? "requested" : moves ? "reencrypting" : "done",
      how.initiatedBy,
      {
        newKeyId,
        ...(old === undefined ? {} : { oldKeyId: old.keyId }),
        ...(cardsTotal === undefined ? {} : { cardsTotal }),
        ...(how.kekBefore === undefined ? {} : { kekBefore: how.kekBefore }),
      },
    );
  }

  async #withCounts(rows: readonly KeyRow[]): Promise<readonly KeyFacts[]> {
    const { database } = this.#parts;
    const versions = rows.some((row) => row.keyType === "KEK")
      ? await countsByVersion(database)
      : new Map<number, number>();
    const facts: KeyFacts[] = [];
    for (const row of rows) {
      if (row.keyType === "KEK") {
        facts.push(keyFacts(row, { deks: versions.get(row.version) ?? 0 }));
        continue;
      }
      const [count] = await database.query("SELECT COUNT(*) AS total FROM credit_cards WHERE encryption_key_id = ?", [
        row.keyId,
      ]);
      facts.push(keyFacts(row, { cards: Number(count?.["total"]) }));
    }
    return facts;
  }
}

async function countCards(session: DatabaseSession): Promise<number> {
  const [row] = await session.query("SELECT COUNT(*) AS total FROM credit_cards");
  return Number(row?.["total"]);
}
