import { z } from "zod";

/** The version of the contract that this package reads; it is the package's major version. */
export const contractVersion = 1;

const rotationState = z.object({
  phase: z.string(),
  live: z.int().min(1),
  generation: z.int().min(1),
  due: z.string(),
  deferred: z.string(),
});

const applicationGroup = z.object({
  path: z.string(),
  providerClass: z.string(),
  files: z.record(z.string(), z.string()),
  optional: z.boolean(),
  className: z.string(),
  version: z.string(),
  since: z.string(),
  due: z.string(),
  reminder: z.string(),
});

const applicationSecrets = z.object({
  provider: z.string(),
  namespace: z.string(),
  account: z.string(),
  ownerPolicy: z.string(),
  mounts: z.array(z.object({ providerClass: z.string(), path: z.string() })),
  groups: z.record(z.string(), applicationGroup),
});

/** What is told of one tenant, field by field. */
export const tenantSchema = {
  /** Namespace of the tenant. */
  namespace: z.string(),
  /** Parts that run: `database`, `tokenizer`, `proxies`. */
  provisioned: z.array(z.string()),
  /** What clients of the tenant trust, PEM. */
  caBundle: z.string(),
  /** Path of the tenant's values in Vault, mount first. */
  kvPath: z.string(),
  /** Path of the tenant's key-encryption key in Vault, mount first. */
  transitKey: z.string(),
  /** Mount of the tenant's certificate authority in Vault. */
  issuer: z.string(),
  /** Vault role by part. */
  vaultRoles: z.record(z.string(), z.string()),
  /** Where clients send card numbers; empty while the proxies aren't provisioned. */
  ingressUrl: z.string(),
  /** The management API; empty while the tokenizer isn't provisioned. */
  managementUrl: z.string(),
  /** Where the application sends its payments by CONNECT, host:port; empty while the proxies aren't provisioned. */
  egressAddress: z.string(),
  /** What the application trusts on that way, and only there, PEM; empty while the proxies aren't provisioned. */
  egressCaBundle: z.string(),
  /** Where the database takes writes, host:port; empty while it isn't provisioned. */
  databaseAddress: z.string(),
  /** Where the rotation of each class stands. */
  rotation: z.record(z.string(), rotationState),
  /** The secrets of the tenant's application: what its pods mount, where their owners write them, when they are due. */
  applicationSecrets,
} as const;

/** The outputs of a stack, one by one, but for `contractVersion` and `tenants`. */
export const stackSchema = {
  /** Name of the environment. */
  environment: z.string(),
  /** Address of Vault, as pods reach it. */
  vaultAddress: z.string(),
  /** Path of the Kubernetes auth mount in Vault. */
  authMount: z.string(),
  /** The environment's root certificate, PEM. */
  rootCertificate: z.string(),
  /** Add-ons that the stack installed. */
  addons: z.array(z.string()),
  /** Bucket of the backups in the cloud; empty without one. */
  backupBucket: z.string(),
  /** Address of Prometheus; empty while monitoring isn't provisioned. */
  prometheusUrl: z.string(),
  /** Address of Alertmanager; empty while monitoring isn't provisioned. */
  alertmanagerUrl: z.string(),
} as const;

/** Name of an output. */
export type OutputName = keyof typeof stackSchema;

/** Name of a field that is told of each tenant. */
export type TenantField = keyof typeof tenantSchema;

/** The outputs of a stack. */
export type StackOutputs = { readonly [K in OutputName]: z.output<(typeof stackSchema)[K]> };

/** What is told of one tenant. */
export type TenantOutputs = { readonly [K in TenantField]: z.output<(typeof tenantSchema)[K]> };

/** Where the rotation of a class stands. */
export type RotationState = z.output<typeof rotationState>;
