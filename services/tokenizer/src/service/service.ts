import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { clientKeyFile, makeAccounts, sessionKeyFile } from "../accounts/index.ts";
import { type Api, makeApi, operationIds } from "../api/index.ts";
import { DataPlane } from "../dataplane/index.ts";
import { httpOperations } from "../http/index.ts";
import { icapOperations } from "../icap/index.ts";
import { VaultTransit } from "../keys/index.ts";
import { type ReadAhead, SecretVolume } from "../secrets/index.ts";
import type { Settings } from "../settings/index.ts";
import { auditHead, AuditLog, migrate, migrations, MySqlDatabase } from "../storage/index.ts";
import { currentRequest, errorFields, Metrics, type OpenTelemetry, SecretMetrics } from "../telemetry/index.ts";
import { VaultSession } from "../vault/index.ts";
import {
  accountSettings,
  type Certificates,
  databaseLogins,
  databaseOptions,
  endOf,
  generationsOf,
  MissingSecret,
  planeTls,
  proxyTest,
  readAheadOf,
  readCertificates,
  vaultOptions,
} from "./parts.ts";
import { LoginFollower } from "./login-follower.ts";
import { Periodic } from "./periodic.ts";
import { tellSecretsInUse } from "./secrets-in-use.ts";

/** The ports that the service listens on. */
export interface ServicePorts {
  /** Undefined where there is no application behind it. */
  readonly http: number | undefined;
  readonly icap: number;
  readonly api: number;
}

const housekeepingInterval = 60_000;
/** What a stop needs after the last request, for keys, pool and log. */
const closingTime = 3000;
const rowsPerRound = 5000;
/** Tables whose rows have had their time, and the column that says so. */
const expiring = [
  ["failure_limits", "expires_at"],
  ["idempotent_answers", "expires_at"],
  ["user_sessions", "expires_at"],
] as const;

/** Files that the metrics name; others that are mounted count as `other`. */
const mountedFiles = ["db-username", "db-password", "db-url", sessionKeyFile, "admin-secret", "admin-password"];

/** The whole service: mounted secrets, database, keys, three listeners, and what runs beside them. */
export class Service {
  readonly ports: ServicePorts;
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #stack: Opened;
  readonly #api: Api;
  readonly #plane: DataPlane;

  private constructor(settings: Settings, log: Logger, stack: Opened, api: Api, plane: DataPlane, ports: ServicePorts) {
    this.#settings = settings;
    this.#log = log;
    this.#stack = stack;
    this.#api = api;
    this.#plane = plane;
    this.ports = ports;
  }

  /**
   * Starts everything, or nothing: what was opened before a failure is closed again.
   *
   * @throws MissingSecret, StoreUnavailable, KeysUnavailable, SchemaMismatch, AccountError, the system's error for a port or a file
   */
  static async start(settings: Settings, log: Logger): Promise<Service> {
    const stack = new Opened();
    try {
      return await Service.#build(settings, log, stack);
    } catch (error) {
      await stack.close();
      throw error;
    }
  }

  static async #build(settings: Settings, log: Logger, stack: Opened): Promise<Service> {
    const now = (): Date => new Date();
    const metrics = new Metrics({ http: httpOperations, icap: icapOperations, api: operationIds });
    const clientFiles = settings.PLATFORM_CLIENTS.map(({ name }) => clientKeyFile(name));
    const secretMetrics = new SecretMetrics(metrics.registry, {
      tenant: settings.TENANT_ID,
      provider: settings.SECRETS_PROVIDER,
      files: [...mountedFiles, ...clientFiles].flatMap((file) => [file, `${file}-previous`]),
      required: ["db-password", sessionKeyFile, ...clientFiles],
    });
    const files = new SecretVolume(
      {
        path: settings.SECRETS_MOUNT_PATH,
        debounce: settings.SECRETS_WATCH_DEBOUNCE_MS,
        poll: settings.SECRETS_WATCH_POLL_INTERVAL,
        healthCheck: settings.SECRETS_HEALTH_CHECK_INTERVAL,
      },
      log,
      secretMetrics,
    );
    stack.add(() => files.stop("the service stops"));
    await files.start();
    const vault = new VaultSession(await vaultOptions(settings));
    stack.add(() => vault.close());
    const ahead = readAheadOf(settings, files, vault, log);
    await catchUp(ahead, log);
    const secrets = generationsOf(files);
    if (secrets(sessionKeyFile).length === 0) throw new MissingSecret(sessionKeyFile);

    const tracing = await tracingOf(settings);
    // A collector that can't be reached doesn't hold up the stop.
    stack.add(() => tracing?.stop().catch(() => undefined) ?? Promise.resolve());
    const certificates = await readCertificates(settings);
    if (certificates !== undefined) metrics.certificate(endOf(certificates));
    const database = await MySqlDatabase.open(
      await databaseOptions(settings, certificates, log),
      databaseLogins(files, settings),
    );
    stack.add(() => database.close());
    const applied = await migrate(database, migrations);
    if (applied.length > 0) log.info({ versions: applied }, "the schema was brought up to date");

    const audit = new AuditLog(database, now, () => currentRequest()?.requestId ?? "");
    const accounts = makeAccounts({ database, audit, secrets, now, ...accountSettings(settings) });
    await accounts.users.ensureBuiltIn(files.read("admin-password"));
    const service = new VaultTransit(
      vault,
      settings.VAULT_TRANSIT_MOUNT,
      settings.VAULT_TRANSIT_KEY ?? `tokenshield-${settings.TENANT_ID}`,
    );
    const plane = new DataPlane(settings, {
      database,
      service,
      audit,
      meters: metrics,
      log,
      tracing,
      authority: accounts,
      isTrustedProxy: proxyTest(settings.TRUSTED_PROXIES),
      tls: certificates === undefined ? undefined : planeTls(settings, certificates),
      applicationCa: settings.APP_CA_FILE === undefined ? undefined : await readFile(settings.APP_CA_FILE, "utf8"),
    });
    const api = makeApi({
      settings,
      database,
      audit,
      accounts,
      cards: plane.cards,
      keys: plane.keys,
      secrets,
      metrics,
      log,
      tracing,
      now,
      othersListening: () => plane.listening,
      refreshSecrets: ahead === undefined ? undefined : () => ahead.refresh(),
      tls: certificates,
    });
    // All three ports say goodbye at the same time.
    const drain = Math.max(1000, settings.STOP_TIMEOUT - closingTime);
    stack.add(() => together([api.server.close(drain), plane.stop(drain)]));
    const { http, icap } = await plane.start();
    const ports = { http, icap, api: await api.server.listen(settings.LISTEN_HOST, settings.API_PORT) };

    tellSecretsInUse(
      metrics.registry,
      settings.TENANT_ID,
      files,
      () => database.uses(databaseLogins(files, settings)[0]),
      () => plane.keys.inUse(),
    );
    const login = new LoginFollower(database, files, settings, secretMetrics, log);
    files.onChange("database login", (batch) => login.changed(batch));
    for (const work of [
      new Periodic("database login", settings.SECRETS_WATCH_POLL_INTERVAL, log, () => login.again()),
      new Periodic("secrets ahead of their files", settings.SECRETS_WATCH_POLL_INTERVAL, log, async () => {
        if (ahead?.isAhead === true) await ahead.refresh();
      }),
      new Periodic("audit anchor", settings.AUDIT_ANCHOR_INTERVAL, log, () => anchor(database, log)),
      new Periodic("housekeeping", housekeepingInterval, log, () => sweep(database, now())),
      ...(certificates === undefined
        ? []
        : [followCertificates(settings, certificates, { api, plane, database, metrics }, log)]),
    ]) {
      stack.add(() => work.stop());
    }
    return new Service(settings, log, stack, api, plane, ports);
  }

  /**
   * Turns not ready, lets running requests end, then closes everything.
   *
   * @throws Error if that takes longer than STOP_TIMEOUT
   */
  async stop(): Promise<void> {
    this.#api.readiness.stop();
    this.#log.info({ plane: this.#plane.listening ? "listening" : "closed" }, "stopping");
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error("running work did not end within STOP_TIMEOUT"));
      }, this.#settings.STOP_TIMEOUT);
    });
    try {
      await Promise.race([this.#stack.close(), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What was opened, closed in the reverse order. */
class Opened {
  readonly #closers: (() => Promise<void>)[] = [];

  add(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** Closes everything, also what comes after one that fails. @throws AggregateError of what failed */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      await close().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw new AggregateError(failures, "not everything could be closed");
  }
}

/** Waits for all, also after one failed. @throws AggregateError of what failed */
async function together(closing: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(closing);
  const failures = ended.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  if (failures.length > 0) throw new AggregateError(failures, "not every port could be closed");
}

/** The files of a container that was started again may be behind; without an answer of the store it starts from them. */
async function catchUp(ahead: ReadAhead | undefined, log: Logger): Promise<void> {
  try {
    await ahead?.refresh();
  } catch (error) {
    log.warn({ err: errorFields(error) }, "the store can't be asked for newer secrets; the mounted files are used");
  }
}

/** Traces, where the settings name a collector. */
async function tracingOf(settings: Settings): Promise<OpenTelemetry | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: ratio } = settings;
  if (endpoint === undefined) return undefined;
  // Loaded where it is wanted only: it is as large as the rest of the service.
  const { OpenTelemetry } = await import("../telemetry/tracing.ts");
  return new OpenTelemetry({ endpoint, ratio, tenant: settings.TENANT_ID, version: settings.BUILD_VERSION });
}

/** Writes the head of the audit chain to the log, which is kept elsewhere: a cut at the chain's end shows against it. */
async function anchor(database: MySqlDatabase, log: Logger): Promise<void> {
  const { sequence, hash } = await auditHead(database);
  log.info({ audit_sequence: sequence, audit_hash: hash }, "audit chain");
}

async function sweep(database: MySqlDatabase, now: Date): Promise<void> {
  for (const [table, column] of expiring) {
    await database.execute(`DELETE FROM ${table} WHERE ${column} <= ? LIMIT ?`, [now, rowsPerRound]);
  }
}

/** New connections use a renewed certificate from the next look on; open ones stay. */
function followCertificates(
  settings: Settings,
  first: Certificates,
  users: {
    readonly api: Api;
    readonly plane: DataPlane;
    readonly database: MySqlDatabase;
    readonly metrics: Metrics;
  },
  log: Logger,
): Periodic {
  let current = first;
  return new Periodic("certificates", settings.SECRETS_WATCH_POLL_INTERVAL, log, async () => {
    const next = await readCertificates(settings);
    if (
      next === undefined ||
      (next.cert.equals(current.cert) && next.key.equals(current.key) && next.ca.equals(current.ca))
    )
      return;
    users.plane.useCertificate(planeTls(settings, next));
    users.api.server.useCertificate(next);
    users.metrics.certificate(endOf(next));
    // Refused, it is shown again in the next round; open connections stay on the one before.
    if (settings.DB_CLIENT_CERTIFICATE) await users.database.useClientCertificate({ cert: next.cert, key: next.key });
    current = next;
    log.info({}, "the renewed certificate is in use");
  });
}
