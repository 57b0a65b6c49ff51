import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { MountedSecrets } from "./metrics.ts";

/**
 * The eleven series of mounted credentials. This service reads files into memory: an access is one read of one file, the cache is that
 * memory, and a rotation is a changed file that was applied (the rotation itself is the rotator's, with its own duration).
 */
export class SecretMetrics {
  readonly #secrets: MountedSecrets;
  readonly #access;
  readonly #accessErrors;
  readonly #rotation;
  readonly #rotationErrors;
  readonly #hits;
  readonly #misses;
  readonly #latency;
  readonly #duration;
  readonly #cacheSize;
  readonly #jobs;
  readonly #watched;

  constructor(registry: Registry, secrets: MountedSecrets) {
    this.#secrets = secrets;
    const registers = [registry];
    const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
      new Counter({ name, help, labelNames, registers });
    this.#access = counter("secret_access_total", "Reads attempted.", [
      "tenant_id",
      "secret_key",
      "provider",
      "result",
    ]);
    this.#accessErrors = counter("secret_access_errors_total", "Failed reads.", [
      "tenant_id",
      "secret_key",
      "provider",
      "error_type",
    ]);
    this.#rotation = counter("secret_rotation_total", "Changes of a mounted credential that were applied or not.", [
      "tenant_id",
      "secret_key",
      "result",
    ]);
    this.#rotationErrors = counter("secret_rotation_errors_total", "Changes that could not be applied.", [
      "tenant_id",
      "secret_key",
      "error_type",
    ]);
    this.#hits = counter("secret_cache_hits_total", "Reads served from memory.", ["tenant_id", "provider"]);
    this.#misses = counter("secret_cache_misses_total", "Reads that went to the volume.", ["tenant_id", "provider"]);
    this.#latency = new Histogram({
      name: "secret_access_latency_seconds",
      help: "Read time.",
      labelNames: ["tenant_id", "provider", "cached"],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    });
    this.#duration = new Histogram({
      name: "secret_rotation_duration_seconds",
      help: "Time to apply a changed credential.",
      labelNames: ["tenant_id", "secret_key"],
      buckets: [1, 5, 10, 30, 60, 120, 300],
      registers,
    });
    this.#cacheSize = new Gauge({
      name: "secret_cache_size",
      help: "Entries in memory.",
      labelNames: ["provider"],
      registers,
    });
    this.#jobs = new Gauge({ name: "secret_rotation_jobs_active", help: "Changes being applied now.", registers });
    this.#watched = new Gauge({ name: "secrets_watched", help: "Files watched.", registers });
    this.#zero();
  }

  #zero(): void {
    const { tenant: tenant_id, provider, files } = this.#secrets;
    for (const secret_key of files) {
      for (const result of ["success", "failure"]) {
        this.#access.inc({ tenant_id, secret_key, provider, result }, 0);
        this.#rotation.inc({ tenant_id, secret_key, result }, 0);
      }
      this.#accessErrors.inc({ tenant_id, secret_key, provider, error_type: "missing" }, 0);
      this.#rotationErrors.inc({ tenant_id, secret_key, error_type: "refused" }, 0);
      this.#duration.zero({ tenant_id, secret_key });
    }
    this.#hits.inc({ tenant_id, provider }, 0);
    this.#misses.inc({ tenant_id, provider }, 0);
    for (const cached of ["true", "false"]) this.#latency.zero({ tenant_id, provider, cached });
    this.#cacheSize.set({ provider }, 0);
    this.#jobs.set(0);
    this.#watched.set(0);
  }

  /** A read of a file: from memory or from the volume, found or missing. Seconds. Names outside of the closed list count
   * as `other`. That there is no value of a grace period, or no other optional file, is no failure and isn't counted. */
  read(file: string, from: "memory" | "volume", found: "found" | "missing", seconds: number): void {
    const { tenant: tenant_id, provider } = this.#secrets;
    if (found === "missing" && !this.#secrets.required.includes(file)) return;
    const secret_key = this.#label(file);
    this.#access.inc({ tenant_id, secret_key, provider, result: found === "found" ? "success" : "failure" });
    if (found === "missing") this.#accessErrors.inc({ tenant_id, secret_key, provider, error_type: "missing" });
    (from === "memory" ? this.#hits : this.#misses).inc({ tenant_id, provider });
    this.#latency.observe({ tenant_id, provider, cached: from === "memory" ? "true" : "false" }, seconds);
  }

  /** Runs `work`, which applies a changed credential, and counts how it went. */
  async applying(file: string, work: () => Promise<void>): Promise<void> {
    const { tenant: tenant_id } = this.#secrets;
    const secret_key = this.#label(file);
    const stop = this.#duration.startTimer({ tenant_id, secret_key });
    this.#jobs.inc();
    try {
      await work();
      this.#rotation.inc({ tenant_id, secret_key, result: "success" });
    } catch (error) {
      this.#rotation.inc({ tenant_id, secret_key, result: "failure" });
      this.#rotationErrors.inc({ tenant_id, secret_key, error_type: "refused" });
      throw error;
    } finally {
      this.#jobs.dec();
      stop();
    }
  }

  /** How many files are in memory and watched. */
  watching(files: number): void {
    this.#cacheSize.set({ provider: this.#secrets.provider }, files);
    this.#watched.set(files);
  }

  #label(file: string): string {
    return this.#secrets.files.includes(file) ? file : "other";
  }
}
