import { type Accounts, RequestLimiter, type SecretGenerations, sessionKeyFile } from "../accounts/index.ts";
import { Activities } from "../core/activities.ts";
import type { Cards, Database, Keys, Log } from "../core/ports.ts";
import type { Settings } from "../settings/index.ts";
import type { AuditLog } from "../storage/index.ts";
import type { Metrics, OpenTelemetry } from "../telemetry/index.ts";
import { Admission } from "./admission.ts";
import { Idempotency } from "./idempotency.ts";
import type { Operation } from "./operation.ts";
import { Readiness } from "./readiness.ts";
import {
  apiKeyOperations,
  authOperations,
  cardOperations,
  importOperations,
  keyOperations,
  monitoringOperations,
  type RefreshSecrets,
  secretOperations,
  systemOperations,
  tokenOperations,
  userOperations,
} from "./routes/index.ts";
import { ApiServer, type ListenerTls } from "./server.ts";

export interface ApiParts {
  readonly settings: Settings;
  readonly database: Database & {
    readonly connections: { readonly used: number; readonly idle: number; readonly max: number };
  };
  readonly audit: AuditLog;
  readonly accounts: Accounts;
  readonly cards: Cards;
  readonly keys: Keys;
  /** Reads a mounted secret: the current value, then the one of the grace period. */
  readonly secrets: SecretGenerations;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Undefined where there are no traces. */
  readonly tracing?: OpenTelemetry | undefined;
  readonly now: () => Date;
  /** Whether the other listeners of the service listen. */
  readonly othersListening: () => boolean;
  /** Reads mounted values anew, ahead of their files; undefined where that can't be done. */
  readonly refreshSecrets?: RefreshSecrets | undefined;
  readonly tls: ListenerTls | undefined;
  /** How long a request for a rotation of the KEK waits for the rotator. Milliseconds, 60 s if undefined. */
  readonly rotationPatience?: number | undefined;
}

/** The management API and what belongs to its life. */
export interface Api {
  readonly server: ApiServer;
  readonly readiness: Readiness;
  /** Every operation, for the metrics' closed list and for tests. */
  readonly operations: readonly Operation[];
}

/** Puts the management API together. It doesn't listen yet. */
export function makeApi(parts: ApiParts): Api {
  const { settings, database, audit, cards, keys, secrets, metrics, log, now } = parts;
  const { users, apiKeys, sessions, login, authenticator } = parts.accounts;
  const activities = new Activities(database, now);
  const authFailure = metrics.authFailure.bind(metrics);
  const clock = (): number => now().getTime();
  const admission = new Admission({
    authenticator,
    audit,
    perAddress: new RequestLimiter(settings.RATE_LIMIT_PER_ADDRESS, clock),
    perKey: new RequestLimiter(settings.RATE_LIMIT_PER_KEY, clock),
    origins: settings.CORS_ALLOWED_ORIGINS,
    authFailure,
  });
  const readiness: Readiness = new Readiness({
    database,
    keys,
    listening: () => server.listening && parts.othersListening(),
    dependency: metrics.dependency.bind(metrics),
  });
  const exposed = {
    connections: () => database.connections,
    activeTokens: () => cards.countActive(),
    liveSessions: () => sessions.countLive(),
  };
  const operations: readonly Operation[] = [
    ...systemOperations({ settings, readiness, metrics: () => metrics.expose(exposed) }),
    ...authOperations({ login, authFailure }),
    ...userOperations(users, () => settings.NEW_USERS_CHANGE_PASSWORD),
    ...apiKeyOperations(apiKeys, users),
    ...tokenOperations(cards, activities, audit),
    ...importOperations({ cards, audit, now }),
    ...cardOperations({ cards, audit, now }),
    ...monitoringOperations(cards, activities, now),
    ...keyOperations(keys, audit, parts.rotationPatience ?? 60_000),
    ...secretOperations(audit, parts.refreshSecrets),
  ];
  const server: ApiServer = new ApiServer({
    operations,
    admission,
    idempotency: new Idempotency(database, () => secrets(sessionKeyFile), now),
    meters: metrics,
    log,
    tracing: parts.tracing,
    now,
    origins: settings.CORS_ALLOWED_ORIGINS,
    trustedProxies: settings.TRUSTED_PROXIES,
    maxBody: settings.MAX_BODY_BYTES,
    maxInFlight: settings.MAX_IN_FLIGHT,
    maxHeldBytes: settings.MAX_HELD_BYTES,
    tls: parts.tls,
    clientCertificate: settings.API_CLIENT_CERTIFICATE,
  });
  return { server, readiness, operations };
}
