import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { type FSWatcher, watch } from "node:fs";
import type { Log, SecretBatch, SecretFiles } from "../core/ports.ts";
import { differences, readSnapshot, type Values } from "./snapshot.ts";

/** Files on whose change credentials in use must be replaced (secrets-runtime contract, section 2). */
export const criticalFiles: readonly string[] = [
  "db-username",
  "db-password",
  "db-url",
  "jwt-secret",
  "supabase-service-key",
];

/** The eight events and what they carry: digests, never a value. Times are ISO 8601. */
export interface SecretEvents {
  started: [{ mountPath: string; version: number; files: number }];
  stopped: [{ reason: string }];
  "secret-changed": [
    { secretKey: string; before: string | undefined; after: string | undefined; version: number; timestamp: string },
  ];
  "secret-deleted": [{ secretKey: string; before: string | undefined; version: number; timestamp: string }];
  "reload-required": [{ critical: readonly string[]; version: number; timestamp: string }];
  "health-check-success": [
    { mountPath: string; secretCount: number; lastChangeSeconds: number; lastReadSeconds: number; timestamp: string },
  ];
  "health-check-failed": [{ errorClass: string; consecutive: number; timestamp: string }];
  error: [{ errorClass: string; files: readonly string[] }];
}

/** Where the metrics of mounted secrets are counted. */
export interface SecretMeters {
  read(file: string, from: "memory" | "volume", found: "found" | "missing", seconds: number): void;
  watching(files: number): void;
}

/** Times are milliseconds. */
export interface SecretVolumeOptions {
  readonly path: string;
  /** Quiet time after a change of single files, until which more of them belong to the same batch. */
  readonly debounce: number;
  /** Between looks at the directory when no change is notified. */
  readonly poll: number;
  readonly healthCheck: number;
  readonly critical?: readonly string[];
}

/**
 * The secrets of this pod: files of a mounted volume, held in memory and followed. Both ways in which volumes change are
 * followed, the swap of the link `..data` and files renamed one by one; where notification fails, polling finds the change.
 */
export class SecretVolume implements SecretFiles {
  readonly events = new EventEmitter<SecretEvents>();
  readonly #options: SecretVolumeOptions;
  readonly #log: Log;
  readonly #meters: SecretMeters | undefined;
  readonly #digestKey = randomBytes(32);
  readonly #listeners = new Map<string, (batch: SecretBatch) => void | Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** What the files hold. */
  #mounted: Values = new Map();
  /** What takes the place of files that are behind; an empty value means that there is none. */
  #ahead: Values = new Map();
  /** What is served: the files, and in their place what is ahead of them. */
  #values: Values = new Map();
  #version = 0;
  #watcher: FSWatcher | undefined;
  #debounce: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #failures = 0;
  #lastChange = Date.now();
  #lastRead = 0;
  #complained = "";

  constructor(options: SecretVolumeOptions, log: Log, meters?: SecretMeters) {
    this.#options = options;
    this.#log = log;
    this.#meters = meters;
    // An event of this name without a listener would end the process.
    this.events.on("error", ({ errorClass, files }) => {
      const complaint = `${errorClass} ${files.join(",")}`;
      if (complaint !== this.#complained)
        log.warn({ error_class: errorClass, files }, "mounted secrets could not be read; the last values stay in use");
      this.#complained = complaint;
    });
  }

  /** Reads the volume and begins to follow it. @throws the file system's error if it can't be read at all */
  async start(): Promise<void> {
    const { path, poll, healthCheck } = this.#options;
    const { values, unreadable } = await readSnapshot(path);
    this.#mounted = values;
    this.#values = values;
    this.#version = 1;
    this.#lastRead = Date.now();
    for (const name of values.keys()) this.#meters?.read(name, "volume", "found", 0);
    this.#meters?.watching(values.size);
    this.#follow();
    this.#timers.add(setInterval(() => void this.#look(), poll));
    this.#timers.add(setInterval(() => void this.#check(), healthCheck));
    this.events.emit("started", { mountPath: path, version: this.#version, files: values.size });
    if (unreadable.length > 0) this.events.emit("error", { errorClass: "Unreadable", files: unreadable });
    // What changed between the first read and the watch.
    await this.#look();
  }

  /** Ends everything; values stay readable. */
  async stop(reason: string): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers.clear();
    clearTimeout(this.#debounce);
    this.#watcher?.close();
    this.#watcher = undefined;
    await this.#looking;
    this.events.emit("stopped", { reason });
  }

  read(name: string): string | undefined {
    const started = performance.now();
    const value = this.#values.get(name);
    this.#meters?.read(name, "memory", value === undefined ? "missing" : "found", (performance.now() - started) / 1000);
    return value;
  }

  /** Names of the files, sorted. */
  names(): readonly string[] {
    return [...this.#values.keys()].sort();
  }

  onChange(name: string, listener: (batch: SecretBatch) => void | Promise<void>): () => void {
    this.#listeners.set(name, listener);
    return () => {
      this.#listeners.delete(name);
    };
  }

  /** What a file of the volume holds, whatever is ahead of it. */
  mounted(name: string): string | undefined {
    return this.#mounted.get(name);
  }

  /** Serves these values in the place of their files, an empty one as if there were no file, and tells what changes by that. */
  async layOver(ahead: Values): Promise<void> {
    this.#ahead = ahead;
    await this.#serve();
  }

  #follow(): void {
    try {
      this.#watcher = watch(this.#options.path, { persistent: false }, (_event, name) => {
        // A swap of the link is whole when it is seen; single files come one after the other.
        if (name === "..data") void this.#look();
        else this.#soon();
      });
      this.#watcher.on("error", () => {
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch (error) {
      this.#watcher = undefined;
      this.events.emit("error", { errorClass: classOf(error), files: [] });
    }
  }

  #soon(): void {
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => void this.#look(), this.#options.debounce);
  }

  /** Looks at the volume; of several calls at the same time one looks, and once more afterwards. */
  #look(): Promise<void> {
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return this.#looking;
    }
    this.#looking = this.#apply().finally(() => {
      this.#looking = undefined;
      if (this.#lookAgain) {
        this.#lookAgain = false;
        this.#soon();
      }
    });
    return this.#looking;
  }

  async #apply(): Promise<void> {
    try {
      // The watch ends with the directory's inode; a new one begins with the next look.
      if (this.#watcher === undefined && this.#timers.size > 0) this.#follow();
      const snapshot = await readSnapshot(this.#options.path);
      this.#lastRead = Date.now();
      if (snapshot.unreadable.length > 0)
        this.events.emit("error", { errorClass: "Unreadable", files: snapshot.unreadable });
      else this.#complained = "";
      const kept = snapshot.unreadable.flatMap((name) => {
        const value = this.#mounted.get(name);
        return value === undefined ? [] : [[name, value] as const];
      });
      this.#mounted = new Map([...snapshot.values, ...kept]);
      await this.#serve();
    } catch (error) {
      this.events.emit("error", { errorClass: classOf(error), files: [] });
    }
  }

  /** Takes over what differs from what is served, and tells those who follow. */
  async #serve(): Promise<void> {
    const values = new Map(this.#mounted);
    for (const [name, value] of this.#ahead) {
      if (value === "") values.delete(name);
      else values.set(name, value);
    }
    const found = differences(this.#values, { values, unreadable: [] }, this.#digestKey);
    if (found.length === 0) return;
    this.#values = values;
    this.#version++;
    this.#lastChange = Date.now();
    this.#meters?.watching(this.#values.size);
    await this.#tell(this.#announce(found));
  }

  #announce(found: ReturnType<typeof differences>): SecretBatch {
    const version = this.#version;
    const timestamp = new Date().toISOString();
    const changed: string[] = [];
    const deleted: string[] = [];
    for (const { name, kind, before, after } of found) {
      if (kind === "changed") {
        changed.push(name);
        this.#meters?.read(name, "volume", "found", 0);
        this.events.emit("secret-changed", { secretKey: name, before, after, version, timestamp });
      } else {
        deleted.push(name);
        this.events.emit("secret-deleted", { secretKey: name, before, version, timestamp });
      }
    }
    const list = this.#options.critical ?? criticalFiles;
    const critical = changed.filter((name) => list.includes(name));
    if (critical.length > 0) this.events.emit("reload-required", { critical, version, timestamp });
    this.#log.info({ version, changed, deleted, critical }, "mounted secrets changed");
    return { version, changed, deleted, critical };
  }

  async #tell(batch: SecretBatch): Promise<void> {
    for (const [name, listener] of this.#listeners) {
      try {
        await listener(batch);
      } catch (error) {
        this.#log.error(
          { listener: name, version: batch.version, error_class: classOf(error) },
          "a change of mounted secrets could not be applied",
        );
      }
    }
  }

  async #check(): Promise<void> {
    const timestamp = new Date().toISOString();
    try {
      const { values } = await readSnapshot(this.#options.path);
      if (values.size === 0) throw new EmptyVolume();
      this.#failures = 0;
      this.events.emit("health-check-success", {
        mountPath: this.#options.path,
        secretCount: values.size,
        lastChangeSeconds: (Date.now() - this.#lastChange) / 1000,
        lastReadSeconds: (Date.now() - this.#lastRead) / 1000,
        timestamp,
      });
    } catch (error) {
      this.#failures++;
      this.events.emit("health-check-failed", { errorClass: classOf(error), consecutive: this.#failures, timestamp });
    }
  }
}

class EmptyVolume extends Error {
  constructor() {
    super("the volume holds no secret");
    this.name = "EmptyVolume";
  }
}

/** Class of an error, never its text: that may hold a path or content. */
function classOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as NodeJS.ErrnoException;
  return code ?? error.name;
}

/** Makes a volume's secrets and begins to follow them. */
export async function initializeSecretVolumeWatcher(
  options: SecretVolumeOptions,
  log: Log,
  meters?: SecretMeters,
): Promise<SecretVolume> {
  const volume = new SecretVolume(options, log, meters);
  await volume.start();
  return volume;
}
