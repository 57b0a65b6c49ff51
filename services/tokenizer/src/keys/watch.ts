import { setTimeout as sleep } from "node:timers/promises";
import { auditKey, type KeyStoreParts, newestKek } from "./parts.ts";
import { reencrypt } from "./reencrypt.ts";
import { countsByVersion, rewrapAll } from "./rewrap.ts";
import { type KeyRing, lockName } from "./ring.ts";
import type { RotationLog, RunningRotation } from "./rotation-log.ts";

/**
 * The work of rotations that goes on beside requests. It sees that the key-encryption key has a new version, which somebody
 * else makes, wraps every data key by it and counts; and it encrypts cards anew where a rotation asked for that.
 */
export class KeyWatch {
  readonly #parts: KeyStoreParts;
  readonly #ring: KeyRing;
  readonly #rotations: RotationLog;
  readonly #stop = new AbortController();
  #watching: Promise<void> | undefined;
  #reencrypting: Promise<void> | undefined;

  constructor(parts: KeyStoreParts, ring: KeyRing, rotations: RotationLog) {
    this.#parts = parts;
    this.#ring = ring;
    this.#rotations = rotations;
  }

  start(): void {
    this.#watching = this.#watch();
  }

  /** Aborted once the watch is to end. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Ends the watch and the background work; a re-encryption goes on after the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#reencrypting;
  }

  async #watch(): Promise<void> {
    const { interval = 2000, log } = this.#parts;
    const { signal } = this.#stop;
    let down = false;
    while (!signal.aborted) {
      try {
        await this.#look();
        if (down) log.info({}, "keys: database and key service answer again");
        down = false;
      } catch (error) {
        if (!down)
          log.warn({ error: error instanceof Error ? error.message : "unknown" }, "keys: cannot look for rotations");
        down = true;
      }
      // Ends early when the store stops.
      await sleep(interval, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    await this.#ring.refresh();
    const version = await newestKek(this.#parts, this.#ring);
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
    await auditKey(this.#parts, "key.rotation", requested ?? `kek_v${version}`, "system", {
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
        await auditKey(this.#parts, "key.reencryption", running.rotationId, "system", { key_type: "DEK" });
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
}
