import type { Database, Keys } from "../core/ports.ts";
import { errorClassOf } from "../storage/index.ts";

/** Result of one check, as the document's schema Check. */
export interface Check {
  readonly status: "ok" | "failed" | "off";
  readonly latency_ms?: number;
  /** Class only: no address, no credential. */
  readonly error_class?: string;
  /** When the check began to say what it says now. */
  readonly since?: string;
}

const limit = 2000;
const reuse = 2000;

/** One dependency, asked at most every two seconds. */
class Probe {
  readonly #ask: () => Promise<void>;
  readonly #report: (state: "up" | "down") => void;
  #last: { readonly at: number; readonly check: Promise<Check> } | undefined;
  #status: Check["status"] | undefined;
  #since = "";

  constructor(ask: () => Promise<void>, report: (state: "up" | "down") => void) {
    this.#ask = ask;
    this.#report = report;
  }

  check(): Promise<Check> {
    const now = performance.now();
    if (this.#last === undefined || now - this.#last.at > reuse) this.#last = { at: now, check: this.#run() };
    return this.#last.check;
  }

  async #run(): Promise<Check> {
    const started = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error("timeout"));
      }, limit);
    });
    let failure: string | undefined;
    try {
      await Promise.race([this.#ask(), late]);
    } catch (error) {
      failure = error instanceof Error && error.message === "timeout" ? "timeout" : errorClassOf(error);
    } finally {
      clearTimeout(timer);
    }
    const status = failure === undefined ? "ok" : "failed";
    this.#report(failure === undefined ? "up" : "down");
    if (status !== this.#status) this.#since = new Date().toISOString();
    this.#status = status;
    const latency = Math.round((performance.now() - started) * 10) / 10;
    return {
      status,
      latency_ms: latency,
      since: this.#since,
      ...(failure === undefined ? {} : { error_class: failure }),
    };
  }
}

/** Whether the service can do its work, and what keeps it from it. */
export class Readiness {
  readonly #database: Probe;
  readonly #keys: Probe;
  readonly #listening: () => boolean;
  #stopping = false;

  /** @param listening whether all three ports listen */
  constructor(parts: {
    readonly database: Database;
    readonly keys: Keys;
    readonly listening: () => boolean;
    readonly dependency: (name: "database" | "key_service", state: "up" | "down") => void;
  }) {
    this.#database = new Probe(
      async () => {
        await parts.database.atOnce.query("SELECT 1 FROM credit_cards LIMIT 1");
      },
      (state) => {
        parts.dependency("database", state);
      },
    );
    this.#keys = new Probe(
      async () => {
        await parts.keys.probe();
        if (!parts.keys.loaded()) throw new NotLoaded();
      },
      (state) => {
        parts.dependency("key_service", state);
      },
    );
    this.#listening = parts.listening;
  }

  /** From now on the service is not ready, whatever the checks say. */
  stop(): void {
    this.#stopping = true;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  async check(): Promise<{
    readonly status: "ready" | "not_ready";
    readonly checks: Readonly<Record<"database" | "key_service" | "listeners", Check>>;
  }> {
    const [database, keyService] = await Promise.all([this.#database.check(), this.#keys.check()]);
    const listeners: Check = this.#stopping
      ? { status: "failed", error_class: "stopping" }
      : this.#listening()
        ? { status: "ok" }
        : { status: "failed", error_class: "not_listening" };
    const checks = { database, key_service: keyService, listeners };
    const ready = Object.values(checks).every(({ status }) => status === "ok");
    return { status: ready ? "ready" : "not_ready", checks };
  }
}

/** The key service answers, but the active data key isn't in memory. */
class NotLoaded extends Error {
  constructor() {
    super("the active data key is not loaded");
    this.name = "KeyNotLoaded";
  }
}
