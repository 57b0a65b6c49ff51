import { z } from "zod";
import { SettingsError } from "./errors.ts";
import {
  client,
  duration,
  flag,
  fraction,
  isLoopback,
  list,
  network,
  officer,
  origin,
  peer,
  url,
  whole,
} from "./fields.ts";

const minutes = 60_000;
const hours = 60 * minutes;
const days = 24 * hours;

/**
 * Every environment variable that the service reads, none of them secret: secrets are files below SECRETS_MOUNT_PATH.
 * Durations are milliseconds once read.
 */
const schema = z.object({
  /** The tenant whose cards this instance holds; part of the associated data of every ciphertext. */
  TENANT_ID: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "a tenant id of a-z, 0-9 and -"),
  LISTEN_HOST: z.string().min(1).default("0.0.0.0"),
  HTTP_PORT: whole(1, 65535).default(8080),
  ICAP_PORT: whole(1, 65535).default(1344),
  API_PORT: whole(1, 65535).default(8090),
  /** The one application behind HTTP_PORT; none means that nothing listens there. */
  APP_ENDPOINT: url("http", "https").optional(),

  /** TLS on the listeners: `mutual` asks callers of 8080 and 1344 for a certificate; `off` is for loopback only. */
  TLS_MODE: z.enum(["mutual", "server", "off"]).default("mutual"),
  /** Names of the certificates that may call 8080 and 1344; none means every one of the authority. */
  HTTP_PEERS: list(peer).default([]),
  ICAP_PEERS: list(peer).default([]),
  /** Whether callers of 8090 need one too. Health and metrics are told without: kubelet and Prometheus have none. */
  API_CLIENT_CERTIFICATE: z.enum(["required", "none"]).default("none"),
  /** May name the same file as TLS_KEY_FILE: key and certificates in one, which always change together. */
  TLS_CERT_FILE: z.string().default("/mnt/tls/tls.crt"),
  TLS_KEY_FILE: z.string().default("/mnt/tls/tls.key"),
  TLS_CA_FILE: z.string().default("/mnt/tls/ca.crt"),

  DB_HOST: z.string().min(1).default("mysql"),
  DB_PORT: whole(1, 65535).default(3306),
  DB_NAME: z
    .string()
    .regex(/^[A-Za-z0-9_]{1,64}$/, "a database name of letters, digits and _")
    .default("tokenshield"),
  /** Used only while no file db-username is mounted. */
  DB_USER: z.string().min(1).max(32).optional(),
  /** Certificate authority of the database server; none means that of TLS_CA_FILE. */
  DB_CA_FILE: z.string().optional(),
  /** Whether the database is shown the certificate of TLS_CERT_FILE. */
  DB_CLIENT_CERTIFICATE: flag.default(false),
  DB_POOL_SIZE: whole(2, 500).default(25),
  /** Longest wait of a request for a database that hands over to another primary, then 503; shorter than what callers wait. */
  DB_HANDOVER_WAIT: duration(10_000).default(5000),

  VAULT_ADDR: url("http", "https"),
  VAULT_CA_FILE: z.string().optional(),
  VAULT_NAMESPACE: z.string().min(1).optional(),
  VAULT_K8S_ROLE: z.string().min(1).optional(),
  VAULT_AUTH_MOUNT: z.string().min(1).default("kubernetes"),
  /** File with the pod's service-account token (audience vault), for the login with VAULT_K8S_ROLE. */
  VAULT_JWT_FILE: z.string().default("/var/run/secrets/tokens/vault"),
  /** File with a Vault token that an agent renews; takes the place of VAULT_K8S_ROLE. */
  VAULT_TOKEN_FILE: z.string().min(1).optional(),
  /** KV mount of the values whose files are mounted: with it the service can read ahead of them; none means that it can't. */
  VAULT_KV_MOUNT: z.string().min(1).optional(),
  VAULT_TRANSIT_MOUNT: z.string().min(1).default("transit"),
  /** Name of the tenant's key-encryption key; none means `tokenshield-<tenant>`. */
  VAULT_TRANSIT_KEY: z.string().min(1).optional(),

  SECRETS_MOUNT_PATH: z.string().min(1).default("/mnt/secrets"),
  SECRETS_WATCH_POLL_INTERVAL: duration(minutes).default(5000),
  SECRETS_WATCH_DEBOUNCE_MS: duration(minutes).default(1000),
  SECRETS_HEALTH_CHECK_INTERVAL: duration(10 * minutes).default(30_000),
  SECRETS_PROVIDER: z.enum(["vault", "aws"]).default("vault"),

  TOKEN_FORMAT: z.enum(["prefix", "luhn"]).default("prefix"),
  /** Whether one card number has one token (found by a keyed digest) or a new one each time. */
  TOKEN_REUSE: flag.default(false),
  /** Life of a token; none means that tokens do not expire. */
  TOKEN_TTL: duration(3650 * days).optional(),
  /** Named by the prototype; the service always works with KEK and DEK. */
  USE_KEK_DEK: flag.default(true),

  SESSION_TIMEOUT: duration(24 * hours).default(24 * hours),
  /** PCI DSS 8.2.8: at most 15 minutes. */
  SESSION_IDLE_TIMEOUT: duration(15 * minutes).default(15 * minutes),
  MAX_CONCURRENT_SESSIONS: whole(1, 100).default(5),
  /** Whether every new user must change the password that an admin chose (PCI DSS 8.3.5). */
  NEW_USERS_CHANGE_PASSWORD: flag.default(false),
  /** Failed logins of one account until it is locked (PCI DSS 8.3.4: at most 10), and for how long (at least 30 minutes). */
  LOCKOUT_ATTEMPTS: whole(1, 10).default(10),
  LOCKOUT_DURATION: duration(7 * days).default(30 * minutes),

  /** Programs of the platform whose key is the file <name>-api-key, and what each may do: `dashboard:read+write`. */
  PLATFORM_CLIENTS: list(client).default([]),
  /** Programs of the platform that are known by their certificate alone: `tokenshield-rotator.acme.svc:keys.rotate`. */
  API_OFFICERS: list(officer).default([]),
  CORS_ALLOWED_ORIGINS: list(origin).default([]),
  TRUSTED_PROXIES: list(network).default([]),
  /** Management requests a minute for each API key and for each client address. */
  RATE_LIMIT_PER_KEY: whole(1, 1_000_000).default(6000),
  RATE_LIMIT_PER_ADDRESS: whole(1, 1_000_000).default(6000),

  MAX_BODY_BYTES: whole(1024, 1_073_741_824).default(10_485_760),
  /** Requests answered at the same time on one listener; more get 503 with Retry-After. */
  MAX_IN_FLIGHT: whole(1, 100_000).default(512),
  /** Bytes of bodies that HTTP_PORT, and ICAP_PORT as well, hold at the same time; more get 503 with Retry-After. */
  MAX_HELD_BYTES: whole(1_048_576, 17_179_869_184).default(268_435_456),
  ICAP_MAX_CONNECTIONS: whole(1, 100_000).default(500),
  /** Certificate authority of the application where APP_ENDPOINT is https; none means that of the system. */
  APP_CA_FILE: z.string().optional(),
  APP_TIMEOUT: duration(10 * minutes).default(30_000),

  /** Gateways to which card numbers may go: https origins, `https://*.gateway.example` for those below a domain. */
  EGRESS_DESTINATIONS: list(z.string()).default([]),
  /** JSON pointers of fields whose numbers are no card numbers though they look like ones; `*` for any one segment. */
  ALLOW_RULES: list(z.string().startsWith("/", "a JSON pointer that begins with /")).default([]),
  /** Media types whose bodies pass unread; none means images, audio, video, fonts, PDF and WebAssembly. */
  BINARY_TYPES: list(z.string().regex(/^[a-z0-9.+-]+\/(\*|[a-z0-9.+-]+)$/, "a media type")).optional(),
  /** What happens to bodies of other types that aren't known. */
  UNKNOWN_TYPES: z.enum(["refuse", "search"]).default("refuse"),
  /** Card verification codes: refused, or kept in a slot for one release within 15 minutes. */
  CVV_FIELDS: z.enum(["refuse", "slot"]).default("refuse"),
  /** Routes like `GET /api/cards` whose answers may show card numbers to callers with the right tokens.reveal. */
  REVEAL_ROUTES: list(z.string().regex(/^[A-Z]+ \/[A-Za-z0-9._~/-]*\*?$/, "a method, a blank and a path")).default([]),
  /** Rows a second that a re-encryption moves at most. */
  REENCRYPT_ROWS_PER_SECOND: whole(1, 1_000_000).default(2000),

  /** Time that a stop waits for running requests; shorter than the pod's grace. */
  STOP_TIMEOUT: duration(10 * minutes).default(25_000),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
  /** Collector of traces, without `/v1/traces` (OTLP over HTTP); none means that there are no traces. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url("http", "https").optional(),
  /** Part of the traces that begin here which are kept, 0 to 1; traces of a caller follow its choice. */
  OTEL_TRACES_SAMPLER_ARG: fraction.default(1),
  AUDIT_ANCHOR_INTERVAL: duration(24 * hours).default(5 * minutes),
  /** Set by the image's build. */
  BUILD_VERSION: z.string().min(1).max(64).default("0.1.0"),
  BUILD_TIME: z.iso.datetime().default("1970-01-01T00:00:00Z"),
});

/** The settings of one instance: what the environment said, defaults filled in. */
export type Settings = z.output<typeof schema>;

/** Rules that need more than one setting. Gives the name of the setting, and what was expected of it. */
function contradictions(settings: Settings): [keyof Settings, string][] {
  const found: [keyof Settings, string][] = [];
  if (settings.TLS_MODE === "off" && !isLoopback(settings.LISTEN_HOST)) {
    found.push(["TLS_MODE", "mutual or server unless LISTEN_HOST is a loopback address"]);
  }
  if (settings.TLS_MODE === "off" && settings.API_CLIENT_CERTIFICATE === "required") {
    found.push(["API_CLIENT_CERTIFICATE", "none while TLS_MODE is off"]);
  }
  if (settings.API_CLIENT_CERTIFICATE === "none" && settings.API_OFFICERS.length > 0) {
    found.push(["API_OFFICERS", "no names unless API_CLIENT_CERTIFICATE is required"]);
  }
  for (const name of ["HTTP_PEERS", "ICAP_PEERS"] as const) {
    if (settings.TLS_MODE !== "mutual" && settings[name].length > 0) {
      found.push([name, "no names unless TLS_MODE is mutual"]);
    }
  }
  if (settings.TLS_MODE === "off" && settings.DB_CLIENT_CERTIFICATE) {
    found.push(["DB_CLIENT_CERTIFICATE", "false while TLS_MODE is off"]);
  }
  const vault = new URL(settings.VAULT_ADDR);
  if (vault.protocol === "http:" && !isLoopback(vault.hostname)) {
    found.push(["VAULT_ADDR", "https unless Vault is on a loopback address"]);
  }
  if (!settings.USE_KEK_DEK) found.push(["USE_KEK_DEK", "true: cards are always encrypted under a wrapped key"]);
  if (settings.VAULT_TOKEN_FILE === undefined && settings.VAULT_K8S_ROLE === undefined) {
    found.push(["VAULT_K8S_ROLE", "a role, or VAULT_TOKEN_FILE in its place"]);
  }
  if (settings.LOCKOUT_DURATION < 30 * minutes) found.push(["LOCKOUT_DURATION", "at least 30m (PCI DSS 8.3.4)"]);
  if (settings.SESSION_IDLE_TIMEOUT > settings.SESSION_TIMEOUT) {
    found.push(["SESSION_IDLE_TIMEOUT", "at most SESSION_TIMEOUT"]);
  }
  return found;
}

/**
 * Reads the settings from an environment. Variables that the service doesn't know are ignored, empty ones count as not set.
 *
 * @throws SettingsError with every missing or wrong setting
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new SettingsError(
      parsed.error.issues.map((issue) => {
        const name = String(issue.path[0]);
        return { name, expected: issue.message, given: given[name] };
      }),
    );
  }
  const wrong = contradictions(parsed.data);
  if (wrong.length > 0) {
    throw new SettingsError(wrong.map(([name, expected]) => ({ name, expected, given: given[name] })));
  }
  return parsed.data;
}
