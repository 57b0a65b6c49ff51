import type { Log, SecretBatch, SecretFiles } from "../core/ports.ts";
import type { Settings } from "../settings/index.ts";
import type { MySqlDatabase } from "../storage/index.ts";
import { errorFields, type SecretMetrics } from "../telemetry/index.ts";
import { databaseFiles, databaseLogins } from "./parts.ts";

/** Lets the pool log in with the newest mounted credentials; a refusal is tried again, the old login goes on working. */
export class LoginFollower {
  readonly #database: MySqlDatabase;
  readonly #files: SecretFiles;
  readonly #settings: Settings;
  readonly #metrics: SecretMetrics;
  readonly #log: Log;
  #state: "followed" | "pending" = "followed";
  #running: Promise<void> | undefined;

  constructor(database: MySqlDatabase, files: SecretFiles, settings: Settings, metrics: SecretMetrics, log: Log) {
    this.#database = database;
    this.#files = files;
    this.#settings = settings;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Looks whether a batch of changed files concerns the login, and follows it. */
  async changed(batch: SecretBatch): Promise<void> {
    if (![...batch.changed, ...batch.deleted].some((file) => databaseFiles.includes(file))) return;
    // A login that is being tried may have been read before this change.
    await this.#running;
    this.#state = "pending";
    await this.again();
  }

  /** Tries once more if the last change was refused; one try at a time. */
  again(): Promise<void> {
    if (this.#state === "followed") return Promise.resolve();
    this.#running ??= this.#follow().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #follow(): Promise<void> {
    try {
      await this.#metrics.applying("db-password", () =>
        this.#database.useCredentials(databaseLogins(this.#files, this.#settings)[0]),
      );
      this.#state = "followed";
      this.#log.info({}, "the database login follows the mounted secret");
    } catch (error) {
      this.#log.warn({ err: errorFields(error) }, "the database refused the new login; the old one stays in use");
    }
  }
}
