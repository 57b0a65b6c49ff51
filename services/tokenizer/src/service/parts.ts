import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { BlockList, isIP } from "node:net";
import type { ServerOptions } from "node:https";
import type { AccountParts } from "../accounts/index.ts";
import { groupPath } from "@tokenshield/rotation";
import type { Log, SecretFiles } from "../core/ports.ts";
import { ReadAhead, type SecretVolume } from "../secrets/index.ts";
import type { Settings } from "../settings/index.ts";
import type { DatabaseCredentials, DatabaseOptions } from "../storage/index.ts";
import type { VaultOptions, VaultSession } from "../vault/index.ts";
import { mountedGroups } from "./secrets-in-use.ts";

/** A secret without which the service must not start. Names the file, never a value. */
export class MissingSecret extends Error {
  readonly code = "SECRET_MISSING";

  constructor(file: string) {
    super(`the mounted secret ${file} is missing; the service doesn't start without it`);
    this.name = "MissingSecret";
  }
}

/** Suffix of the file that holds a secret's value from before its rotation, during the grace. */
const previous = "-previous";

/** The current value of a mounted secret, then the one of its grace period; empty ones don't count. */
export const generationsOf =
  (files: SecretFiles) =>
  (file: string): readonly string[] =>
    [files.read(file), files.read(`${file}${previous}`)].filter(
      (value): value is string => value !== undefined && value !== "",
    );

/** Files that the database's login is made of. */
export const databaseFiles: readonly string[] = ["db-username", "db-password"];

/**
 * The database logins that may work: the current one, then the one of the grace period.
 *
 * @throws MissingSecret
 */
export function databaseLogins(
  files: SecretFiles,
  settings: Settings,
): readonly [DatabaseCredentials, ...DatabaseCredentials[]] {
  const user = files.read("db-username") ?? settings.DB_USER;
  if (user === undefined || user === "") throw new MissingSecret("db-username");
  const [current, ...older] = generationsOf(files)("db-password");
  if (current === undefined) throw new MissingSecret("db-password");
  const formerUser = files.read(`db-username${previous}`) ?? user;
  return [{ user, password: current }, ...older.map((password) => ({ user: formerUser, password }))];
}

/** What accounts take from the settings. */
export function accountSettings(
  settings: Settings,
): Pick<AccountParts, "clients" | "officers" | "sessionLimits" | "lockout"> {
  return {
    clients: settings.PLATFORM_CLIENTS,
    officers: settings.API_OFFICERS,
    sessionLimits: {
      timeout: settings.SESSION_TIMEOUT,
      idle: settings.SESSION_IDLE_TIMEOUT,
      perUser: settings.MAX_CONCURRENT_SESSIONS,
    },
    lockout: { attempts: settings.LOCKOUT_ATTEMPTS, duration: settings.LOCKOUT_DURATION },
  };
}

/**
 * Where the database is; its authority's certificate is read from a file.
 *
 * @param own certificate and key of this service
 */
export async function databaseOptions(
  settings: Settings,
  own: Certificates | undefined,
  log: Log,
): Promise<DatabaseOptions> {
  const ca = await readFile(settings.DB_CA_FILE ?? settings.TLS_CA_FILE);
  return {
    host: settings.DB_HOST,
    port: settings.DB_PORT,
    database: settings.DB_NAME,
    poolSize: settings.DB_POOL_SIZE,
    handOverWait: settings.DB_HANDOVER_WAIT,
    onRecovery: (work, { milliseconds, errorClass }) => {
      log.info({ work, ms: milliseconds, error_class: errorClass }, "the database works again");
    },
    ca,
    ...(settings.DB_CLIENT_CERTIFICATE && own !== undefined ? { client: { cert: own.cert, key: own.key } } : {}),
  };
}

/** Where Vault is, and how to log in. */
export async function vaultOptions(settings: Settings): Promise<VaultOptions> {
  const { VAULT_TOKEN_FILE: tokenFile, VAULT_K8S_ROLE: role } = settings;
  const login: VaultOptions["login"] | undefined =
    tokenFile !== undefined
      ? { kind: "token-file", path: tokenFile }
      : role !== undefined
        ? { kind: "kubernetes", mount: settings.VAULT_AUTH_MOUNT, role, jwtPath: settings.VAULT_JWT_FILE }
        : undefined;
  if (login === undefined) throw new Error("the settings name no way to log in to Vault");
  return {
    address: settings.VAULT_ADDR,
    ca: settings.VAULT_CA_FILE === undefined ? undefined : await readFile(settings.VAULT_CA_FILE, "utf8"),
    namespace: settings.VAULT_NAMESPACE,
    login,
  };
}

/** The way to values that the mounted files are behind of; undefined where another store than Vault delivers them. */
export function readAheadOf(
  settings: Settings,
  volume: SecretVolume,
  vault: VaultSession,
  log: Log,
): ReadAhead | undefined {
  const { SECRETS_PROVIDER: provider, TENANT_ID: tenant, VAULT_KV_MOUNT: mount } = settings;
  if (provider !== "vault" || mount === undefined) return undefined;
  const read = async (group: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
    const { data } = (await vault.ask("a read of secrets", `${mount}/data/${groupPath(tenant, group)}`)) as {
      data?: Readonly<Record<string, unknown>> | null;
    };
    return data ?? undefined;
  };
  return new ReadAhead({ volume, groups: mountedGroups(), read, log });
}

/** Certificate, key and authority of the listeners, as they are in their files now. */
export interface Certificates {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

/** Reads the listeners' certificates; undefined where TLS is off. */
export async function readCertificates(settings: Settings): Promise<Certificates | undefined> {
  if (settings.TLS_MODE === "off") return undefined;
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings;
  const [cert, ca] = await Promise.all([readFile(certFile), readFile(settings.TLS_CA_FILE)]);
  // One read of a file with both, or a renewal between two reads would tear them apart.
  const key = keyFile === certFile ? cert : await readFile(keyFile);
  return { cert, key, ca };
}

/** When a certificate ends; of a chain, its first one, which is the listeners' own. */
export function endOf({ cert }: Certificates): Date {
  return new X509Certificate(cert).validToDate;
}

/** Options of the listeners that carry cards: in mode `mutual` callers must show a certificate of our authority. */
export function planeTls(settings: Settings, certificates: Certificates): ServerOptions {
  const mutual = settings.TLS_MODE === "mutual";
  return { ...certificates, minVersion: "TLSv1.2", requestCert: mutual, rejectUnauthorized: mutual };
}

/** Whether an address is one of the proxies whose X-Forwarded-* headers count. */
export function proxyTest(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, "");
    return isIP(plain) !== 0 && list.check(plain, isIP(plain) === 6 ? "ipv6" : "ipv4");
  };
}
