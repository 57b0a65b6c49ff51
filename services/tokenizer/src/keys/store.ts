import { setTimeout as sleep } from "node:timers/promises";
import type { InUse } from "@tokenshield/rotation";
import { KeysUnavailable, RotationInProgress } from "../core/errors.ts";
import type {
  Audit,
  Database,
  DatabaseSession,
  KeyFacts,
  Keys,
  KeyState,
  KeyType,
  Log,
  Meters,
  Page,
  RotationFacts,
  RotationOutcome,
  RotationRequest,
} from "../core/ports.ts";
import { reencrypt } from "./reencrypt.ts";
import { countsByVersion, rewrapAll } from "./rewrap.ts";
import { type DataKeys, KeyRing, lockName } from "./ring.ts";
import { RotationLog, type RunningRotation } from "./rotation-log.ts";
import { activeKey, insertKey, keyFacts, type KeyRow, noteKek, readKeys } from "./rows.ts";
import type { KeyService } from "./vault.ts";

export interface KeyStoreParts {
  readonly database: Database;
  readonly service: KeyService;
  readonly audit: Audit;
  readonly meters: Meters;
  readonly log: Log;
  readonly tenant: string;
  /** Milliseconds between looks at the key table and the key service; every replica learns of a change within this time. */
  readonly interval?: number;
  /** Rows a second that a re-encryption moves at most. */
  readonly rowsPerSecond?: number;
  /** How long the rotator may take to carry out a request, in milliseconds, before it counts as failed. */
  readonly requestLife?: number;
  readonly uses?: { readonly limit: number; readonly block: number };
}

type WrappedKey = { readonly wrapped: string; readonly kekVersion: number };

/**
 * The tenant's keys: the data keys in memory, and the work of rotations. The key-encryption key never leaves the key service and
 * is rotated by somebody else; this store sees the new version, wraps every data key by it and counts.
 */
export class KeyStore implements Keys {
  readonly #parts: KeyStoreParts;
  readonly #ring: KeyRing;
  readonly #rotations: RotationLog;
  readonly #interval: number;
  readonly #stop = new AbortController();
  #watching: Promise<void> | undefined;
  #reencrypting: Promise<void> | undefined;

  constructor(parts: KeyStoreParts) {
    this.#parts = parts;
    this.#interval = parts.interval ?? 2000;
    this.#rotations = new RotationLog(parts.database);
    this.#ring = new KeyRing(parts);
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
    this.#watching = this.#watch();
  }

  /** Ends the watch and the background work; a re-encryption goes on after the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#reencrypting;
  }

  loaded(): boolean {
    return this.#ring.loaded();
  }

  inUse(): readonly InUse[] {
    return this.#ring.inUse();
  }

  async probe(): Promise<void> {
    await this.#kekVersion();
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
    const before = await this.#kekVersion();
    const rotationId =
      request.keyType === "both"
        ? await this.#rotateDek(request.initiatedBy, request.reencrypt, undefined, before)
        : await this.#rotations.begin(this.#parts.database, "KEK", "requested", request.initiatedBy, {
            kekBefore: before,
          });
    await this.#audit("key.rotation.request", rotationId, request.initiatedBy, { key_type: request.keyType });
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
    await this.#kekVersion();
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
    while (performance.now() < end && !this.#stop.signal.aborted) {
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
      await this.#audit("key.rotation", made, initiatedBy, { key_type: "DEK", reencryption });
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

  /** The newest version of the key-encryption key. Asked by wrapping a data key anew, for which the service has the right. */
  async #kekVersion(): Promise<number> {
    const wrapped = this.#ring.rows.find((row) => row.keyType === "DEK" && row.status === "active")?.wrapped;
    if (wrapped === null || wrapped === undefined) throw new KeysUnavailable("no data key is loaded");
    try {
      const { kekVersion } = await this.#parts.service.rewrap(wrapped);
      this.#parts.meters.dependency("key_service", "up");
      return kekVersion;
    } catch (error) {
      this.#parts.meters.dependency("key_service", "down");
      throw error;
    }
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    let down = false;
    while (!signal.aborted) {
      try {
        await this.#look();
        if (down) this.#parts.log.info({}, "keys: database and key service answer again");
        down = false;
      } catch (error) {
        if (!down)
          this.#parts.log.warn(
            { error: error instanceof Error ? error.message : "unknown" },
            "keys: cannot look for rotations",
          );
        down = true;
      }
      // Ends early when the store stops.
      await sleep(this.#interval, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    await this.#ring.refresh();
    const version = await this.#kekVersion();
    const stale = this.#ring.rows.some(
      (row) => row.wrapped !== null && row.status !== "compromised" && (row.kekVersion ?? 0) < version,
    );
    const running = await this.#rotations.running();
    if (stale) await this.#rewrap(version);
    else if (running?.phase === "requested") await this.#finishRequest(running, version);
    if (running?.phase === "reencrypting") this.#beginReencryption(running);
  }

  async #rewrap(version: number): Promise<void> {
    const { database, service, tenant, meters, log } = this.#parts;
    const result = await database.withLock(lockName("rewrap", tenant), 0, (session) =>
      rewrapAll(session, service, version),
    );
    if (result === undefined) return;
    log.info(
      { version, total: result.total, rewrapped: result.rewrapped },
      "every data key is wrapped by the new key-encryption key",
    );
    await this.#ring.refresh();
    meters.keyRotation("KEK", "completed");
    const running = await this.#rotations.running();
    const requested = running?.phase === "requested" ? running.rotationId : undefined;
    if (running !== undefined && requested !== undefined) {
      await this.#rotations.rewrapped(
        requested,
        result.rewrapped,
        result.total,
        version,
        running.reencrypts ? "reencrypting" : "done",
      );
    }
    await this.#audit("key.rotation", requested ?? `kek_v${version}`, "system", {
      key_type: "KEK",
      version,
      deks: result.total,
    });
  }

  /** A request whose new version was seen before the request's row was; or which nobody carried out. */
  async #finishRequest(running: RunningRotation, version: number): Promise<void> {
    const { requestLife = 3_600_000, meters } = this.#parts;
    if (running.kekBefore !== undefined && version > running.kekBefore) {
      const counts = await countsByVersion(this.#parts.database);
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      await this.#rotations.rewrapped(
        running.rotationId,
        total,
        total,
        version,
        running.reencrypts ? "reencrypting" : "done",
      );
    } else if (Date.now() - running.startedAt.getTime() > requestLife) {
      const failed = await this.#rotations.end(
        running.rotationId,
        "failed",
        "the rotator did not make a new version of the key in time",
      );
      if (failed) meters.keyRotation("KEK", "failed");
    }
  }

  #beginReencryption(running: RunningRotation): void {
    this.#reencrypting ??= this.#reencrypt(running)
      .catch((error: unknown) => {
        this.#parts.log.warn(
          { rotation: running.rotationId, error: error instanceof Error ? error.message : "unknown" },
          "re-encryption was interrupted and will go on",
        );
      })
      .finally(() => (this.#reencrypting = undefined));
  }

  async #reencrypt(running: RunningRotation): Promise<void> {
    const { database, tenant, log, rowsPerSecond = 2000 } = this.#parts;
    const parts = { database, ring: this.#ring, tenant, log, rowsPerSecond, signal: this.#stop.signal };
    await database.withLock(lockName("reencrypt", tenant), 0, async () => {
      const end = await reencrypt(parts, running.rotationId);
      if (end === "interrupted") return;
      if (end === "completed") {
        await database.execute(
          "UPDATE encryption_keys SET key_status = 'retired', retired_at = CURRENT_TIMESTAMP(3) WHERE key_type IN ('DEK', 'HMAC') AND key_status = 'rotating'",
        );
        await this.#rotations.end(running.rotationId, "completed");
        await this.#audit("key.reencryption", running.rotationId, "system", { key_type: "DEK" });
        return;
      }
      await this.#rotations.end(
        running.rotationId,
        "failed",
        `${end.rejected} cards did not open under their key and were left as they are`,
      );
      this.#parts.meters.keyRotation("DEK", "failed");
    });
  }

  #audit(
    action: string,
    resourceId: string,
    actor: string,
    details: Readonly<Record<string, string | number>>,
  ): Promise<void> {
    return this.#parts.audit.append([
      { action, actor, sourceIp: "", resourceType: "key", resourceId, result: "success", details },
    ]);
  }
}

async function countCards(session: DatabaseSession): Promise<number> {
  const [row] = await session.query("SELECT COUNT(*) AS total FROM credit_cards");
  return Number(row?.["total"]);
}
