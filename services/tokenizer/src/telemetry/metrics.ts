import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { KeyType, Meters, Outcome, Plane, Source, TokenFormat } from "../core/ports.ts";

const planes: readonly Plane[] = ["http", "icap", "api"];
const outcomes: readonly Outcome[] = ["ok", "unchanged", "refused", "error"];
const sources: readonly Source[] = ["http", "icap", "api", "import"];
const formats: readonly TokenFormat[] = ["prefix", "luhn"];
const reasons = ["store", "key", "parse", "size", "coding", "policy"] as const;
const keyTypes: readonly KeyType[] = ["KEK", "DEK"];
const authKinds = ["password", "session", "api_key", "admin_secret", "rate_limit"] as const;
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Label `kind` of tokenshield_auth_failures_total. */
export type AuthFailure = (typeof authKinds)[number];

/** Values that are read when Prometheus asks. A value that cannot be read is left as it was. */
export interface MetricSources {
  readonly connections: () => { readonly used: number; readonly idle: number; readonly max: number };
  readonly activeTokens: () => Promise<number>;
  readonly liveSessions: () => Promise<number>;
}

/** Labels of the credentials that this service mounts, and how many files it watches. */
export interface MountedSecrets {
  readonly tenant: string;
  readonly provider: string;
  /** Names of the mounted files, a closed list: no label has more values. */
  readonly files: readonly string[];
  /** Those of them that must be there: only for these a missing file is a failed read. */
  readonly required: readonly string[];
}

/**
 * Every metric of the service. All series exist from the start with 0; no label holds a token, a card number, a user name, a path or an
 * address: `operation` comes from closed lists of each plane.
 */
export class Metrics implements Meters {
  readonly registry = new Registry();
  readonly #requests = this.#counter("tokenshield_requests_total", "Requests answered.", [
    "plane",
    "operation",
    "outcome",
  ]);
  readonly #durations = new Histogram({
    name: "tokenshield_request_duration_seconds",
    help: "Time from the request's head to the answer's end.",
    labelNames: ["plane", "operation"],
    buckets: seconds,
    registers: [this.registry],
  });
  readonly #tokenizations = this.#counter(
    "tokenshield_tokenizations_total",
    "Card numbers to be replaced, failed ones too.",
    ["source"],
  );
  readonly #tokenizationsFailed = this.#counter(
    "tokenshield_tokenizations_failed_total",
    "Card numbers that could not be replaced.",
    ["source"],
  );
  readonly #created = this.#counter("tokenshield_tokens_created_total", "Tokens made.", ["source", "format"]);
  readonly #revealed = this.#counter("tokenshield_tokens_revealed_total", "Tokens asked to be turned back.", [
    "source",
    "outcome",
  ]);
  readonly #activeTokens = this.#gauge("tokenshield_active_tokens", "Tokens that are not revoked.", []);
  readonly #refused = this.#counter("tokenshield_refused_total", "Traffic refused so that no card number passes.", [
    "reason",
  ]);
  readonly #icap = this.#gauge("tokenshield_icap_connections", "Open ICAP connections.", []);
  readonly #connections = this.#gauge("tokenshield_db_connections", "Database connections.", ["state"]);
  readonly #dependencies = this.#gauge("tokenshield_dependency_up", "1 if the dependency answered last time.", [
    "dependency",
  ]);
  readonly #keyAge = this.#gauge("tokenshield_key_age_seconds", "Age of the active key.", ["type"]);
  readonly #dekUses = this.#counter("tokenshield_dek_uses_total", "Encryptions under the active data key.", []);
  readonly #rotations = this.#counter("tokenshield_key_rotations_total", "Key rotations ended.", ["type", "result"]);
  readonly #sessions = this.#gauge("tokenshield_sessions_active", "Live sessions.", []);
  readonly #certificateExpiry = this.#gauge(
    "tokenshield_certificate_expiry_timestamp_seconds",
    "When the listeners' certificate ends, in seconds since 1970.",
    [],
  );
  readonly #authFailures = this.#counter("tokenshield_auth_failures_total", "Credentials refused.", ["kind"]);

  /** @param operations the closed list of each plane's operations, whose series exist from the start */
  constructor(operations: Readonly<Record<Plane, readonly string[]>>) {
    for (const plane of planes) {
      for (const operation of operations[plane]) {
        this.#durations.zero({ plane, operation });
        for (const outcome of outcomes) this.#requests.inc({ plane, operation, outcome }, 0);
      }
    }
    for (const source of sources) {
      this.#tokenizations.inc({ source }, 0);
      this.#tokenizationsFailed.inc({ source }, 0);
      for (const format of formats) this.#created.inc({ source, format }, 0);
      if (source !== "import") for (const outcome of ["ok", "unavailable"]) this.#revealed.inc({ source, outcome }, 0);
    }
    for (const reason of reasons) this.#refused.inc({ reason }, 0);
    for (const type of keyTypes) {
      this.#keyAge.set({ type }, 0);
      for (const result of ["completed", "failed"]) this.#rotations.inc({ type, result }, 0);
    }
    for (const kind of authKinds) this.#authFailures.inc({ kind }, 0);
    for (const dependency of ["database", "key_service"]) this.#dependencies.set({ dependency }, 0);
    for (const gauge of [this.#activeTokens, this.#icap, this.#sessions]) gauge.set(0);
    this.#dekUses.inc(0);
    for (const state of ["used", "idle", "max"]) this.#connections.set({ state }, 0);
  }

  /** Exposition text for Prometheus, with fresh gauges. A source that fails leaves its gauge as it was: `tokenshield_dependency_up` tells. */
  async expose(from: MetricSources): Promise<string> {
    for (const [state, count] of Object.entries(from.connections())) this.#connections.set({ state }, count);
    const [tokens, sessions] = await Promise.allSettled([from.activeTokens(), from.liveSessions()]);
    if (tokens.status === "fulfilled") this.#activeTokens.set(tokens.value);
    if (sessions.status === "fulfilled") this.#sessions.set(sessions.value);
    return this.registry.metrics();
  }

  request(plane: Plane, operation: string, outcome: Outcome, duration: number): void {
    this.#requests.inc({ plane, operation, outcome });
    this.#durations.observe({ plane, operation }, duration);
  }

  tokenizations(source: Source, attempts: number): void {
    this.#tokenizations.inc({ source }, attempts);
  }

  tokenizationsFailed(source: Source, attempts: number): void {
    this.#tokenizationsFailed.inc({ source }, attempts);
  }

  tokensCreated(source: Source, format: TokenFormat, count: number): void {
    this.#created.inc({ source, format }, count);
  }

  tokensRevealed(source: Source, outcome: "ok" | "unavailable", count: number): void {
    this.#revealed.inc({ source, outcome }, count);
  }

  refused(reason: (typeof reasons)[number]): void {
    this.#refused.inc({ reason });
  }

  icapConnections(open: number): void {
    this.#icap.set(open);
  }

  dekUses(count: number): void {
    this.#dekUses.inc(count);
  }

  dependency(dependency: "database" | "key_service", state: "up" | "down"): void {
    this.#dependencies.set({ dependency }, state === "up" ? 1 : 0);
  }

  keyAge(type: KeyType, age: number): void {
    this.#keyAge.set({ type }, age);
  }

  keyRotation(type: KeyType, result: "completed" | "failed"): void {
    this.#rotations.inc({ type, result });
  }

  /** The certificate that the listeners show from now on. */
  certificate(ends: Date): void {
    this.#certificateExpiry.set(ends.getTime() / 1000);
  }

  authFailure(kind: AuthFailure): void {
    this.#authFailures.inc({ kind });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }
}
