import type * as pulumi from "@pulumi/pulumi";
import {
  authoritiesPath,
  certificateFiles,
  certificatesPath,
  tokenFile,
  tokenPath,
} from "../certificates/agent-config";
import { ports } from "../parts";
import { secretsMountPath } from "../secrets/secret-files";

/** Where the tokenizer finds the authorities of its database. */
export const databasePath = "/database";
export const databaseAuthorities = "ca.pem";

/** Time that a stop waits for running requests, in seconds. */
export const stopSeconds = 25;

/** What one tokenizer pod is told. */
export interface EnvironmentArgs {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Format of new tokens. */
  readonly format: "prefix" | "luhn";
  /** Address of the merchant's application; absent: nothing listens for the inbound proxy. */
  readonly application: string | undefined;
  /** Gateways that card numbers may go to. */
  readonly gateways: readonly { readonly host: string; readonly port: number }[];
  /** Names in the certificates of those who may call the ports for card traffic. */
  readonly peers: { readonly http: readonly string[]; readonly icap: readonly string[] };
  /** The platform's own programs, and what the key of each is for: `dashboard:read+write`. */
  readonly clients: readonly string[];
  /** Programs that are known by their certificate, and what each may do: `tokenshield-rotator.acme.svc:keys.rotate`. */
  readonly officers: readonly string[];
  readonly database: {
    readonly host: pulumi.Input<string>;
    readonly port: pulumi.Input<string>;
    readonly schema: string;
    /** Whether the server asks for a certificate of the tenant's authority. */
    readonly clientCertificate: "shown" | "none";
  };
  readonly vault: VaultLogin;
  /** Most pods at the same time, one of an update included. */
  readonly mostPods: number;
  /** Memory limit of a pod, in bytes. */
  readonly memory: number;
}

/** How the tokenizer reaches the key service. */
export interface VaultLogin {
  readonly address: pulumi.Input<string>;
  /** Vault namespace (Vault Enterprise). */
  readonly namespace?: string | undefined;
  /** Whether Vault's certificate is signed by authorities of its own, given beside the tenant's. */
  readonly ownAuthorities: "given" | "public";
  /** Path of the Kubernetes auth mount. */
  readonly authMount: pulumi.Input<string>;
  /** Role to log in with. */
  readonly role: pulumi.Input<string>;
  /** Path of the KV mount with the values whose files are mounted. */
  readonly kvMount: pulumi.Input<string>;
  /** Path of the Transit mount. */
  readonly transitMount: pulumi.Input<string>;
  /** Name of the tenant's key-encryption key. */
  readonly transitKey: pulumi.Input<string>;
}

/** What a process of ours logs in to Vault with: where it is, who signed its certificate, its role and its token's file. */
export function vaultEnvironment(
  vault: Pick<VaultLogin, "address" | "namespace" | "ownAuthorities" | "authMount" | "role">,
): Readonly<Record<string, pulumi.Input<string>>> {
  return {
    VAULT_ADDR: vault.address,
    ...(vault.namespace === undefined ? {} : { VAULT_NAMESPACE: vault.namespace }),
    ...(vault.ownAuthorities === "given"
      ? { VAULT_CA_FILE: `${authoritiesPath}/${certificateFiles.vaultAuthorities}` }
      : {}),
    VAULT_AUTH_MOUNT: vault.authMount,
    VAULT_K8S_ROLE: vault.role,
    VAULT_JWT_FILE: `${tokenPath}/${tokenFile}`,
  };
}

/** Connections of all tokenizer pods together. The smallest server of the group allows 120, and others log in too. */
const databaseConnections = 90;
const mostConnections = 25;

/** Connections of one pod. */
export function poolSize(mostPods: number): number {
  return Math.max(2, Math.min(mostConnections, Math.floor(databaseConnections / mostPods)));
}

const mebibyte = 1_048_576;

/** Room for bodies that one port must have, in bytes: two of the largest. */
const leastHeld = 20 * mebibyte;

/** The settings of a pod by name, as `services/tokenizer/src/settings/settings.ts` reads them. Secrets are files. */
export function environmentOf(args: EnvironmentArgs): Readonly<Record<string, pulumi.Input<string>>> {
  const { database, vault, memory } = args;
  const certificate = `${certificatesPath}/${certificateFiles.bundle}`;
  return {
    TENANT_ID: args.tenant,
    TOKEN_FORMAT: args.format,
    HTTP_PORT: `${ports.tokenizer}`,
    ICAP_PORT: `${ports.icap}`,
    API_PORT: `${ports.management}`,
    ...(args.application === undefined ? {} : { APP_ENDPOINT: args.application }),
    EGRESS_DESTINATIONS: [...new Set(args.gateways.map(originOf))].sort().join(","),
    TLS_MODE: "mutual",
    TLS_CERT_FILE: certificate,
    TLS_KEY_FILE: certificate,
    TLS_CA_FILE: `${authoritiesPath}/${certificateFiles.authorities}`,
    HTTP_PEERS: args.peers.http.join(","),
    ICAP_PEERS: args.peers.icap.join(","),
    API_CLIENT_CERTIFICATE: "required",
    PLATFORM_CLIENTS: args.clients.join(","),
    API_OFFICERS: args.officers.join(","),
    DB_HOST: database.host,
    DB_PORT: database.port,
    DB_NAME: database.schema,
    DB_CLIENT_CERTIFICATE: `${database.clientCertificate === "shown"}`,
    DB_CA_FILE: `${databasePath}/${databaseAuthorities}`,
    DB_POOL_SIZE: `${poolSize(args.mostPods)}`,
    ...vaultEnvironment(vault),
    VAULT_KV_MOUNT: vault.kvMount,
    VAULT_TRANSIT_MOUNT: vault.transitMount,
    VAULT_TRANSIT_KEY: vault.transitKey,
    SECRETS_MOUNT_PATH: secretsMountPath,
    STOP_TIMEOUT: `${stopSeconds}s`,
    // Half of the memory is for the heap; an eighth each for bodies of the two ports that carry card traffic.
    MAX_HELD_BYTES: `${Math.max(leastHeld, Math.floor(memory / 8))}`,
    NODE_OPTIONS: `--max-old-space-size=${Math.floor(memory / 2 / mebibyte)}`,
  };
}

/** A web origin; the usual port isn't in it. */
function originOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return port === 443 ? `https://${host}` : `https://${host}:${port}`;
}
