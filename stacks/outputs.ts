import { z } from "zod";

/**
 * What a stack tells other teams: a public contract. A field is never renamed or removed, and never changes its type
 * or meaning, without a higher `contractVersion`; further fields don't raise it. Nothing in it is a secret.
 */
export const contractVersion = 1;

const absent = "Empty while the part is not provisioned; see `provisioned`.";

const rotationState = z.strictObject({
  phase: z.string().describe("How far the generation has come; `closed` once nothing is left to do."),
  live: z.int().min(1).describe("Generation that consumers use."),
  generation: z.int().min(1).describe("Generation that is on its way, or the live one."),
  due: z.string().describe("When the class is due (RFC 3339, UTC); empty where it isn't automatic."),
  deferred: z.string().describe("What has to wait, and why; empty where nothing waits."),
});

const applicationMount = z.strictObject({
  providerClass: z.string().describe("Name of the SecretProviderClass."),
  path: z.string().describe("Where the application's containers mount it."),
});

const applicationGroup = z.strictObject({
  path: z.string().describe("Where its owner writes the values: in Vault mount first, in AWS the name of the secret."),
  providerClass: z.string().describe("SecretProviderClass that delivers it."),
  files: z.record(z.string(), z.string()).describe("File of each value, by its name in the entry."),
  optional: z.boolean().describe("Whether pods start without it."),
  className: z.string().describe("Rotation class, by whose interval a new value is due."),
  version: z.string().describe("Current version, as the store numbers it; empty without a value."),
  since: z.string().describe("When that version was written (RFC 3339, UTC); empty without a value."),
  due: z.string().describe("When a new value is due (RFC 3339, UTC); empty where none ever is."),
  reminder: z.string().describe("What its owner has to do; empty where nothing is to be done."),
});

const applicationOutputs = z.strictObject({
  provider: z.string().describe("Store of the values: `vault` or `aws`; empty where the tenant lists no secrets."),
  namespace: z.string().describe("Namespace of the application."),
  account: z.string().describe("ServiceAccount that the application's pods run under to read them."),
  ownerPolicy: z.string().describe("Vault policy of those who write the values; empty in AWS."),
  mounts: z.array(applicationMount).describe("What the pods mount."),
  groups: z.record(z.string(), applicationGroup).describe("The groups, by name."),
});

/** What is told of one tenant. */
export const tenantOutputs = z.strictObject({
  namespace: z.string().describe("Namespace of the tenant."),
  provisioned: z.array(z.string()).describe("Parts that run: `database`, `tokenizer`, `proxies`."),
  caBundle: z.string().describe("What clients of the tenant trust, PEM."),
  kvPath: z.string().describe("Path of the tenant's values in Vault, mount first."),
  transitKey: z.string().describe("Path of the tenant's key-encryption key in Vault, mount first."),
  issuer: z.string().describe("Mount of the tenant's certificate authority in Vault."),
  vaultRoles: z.record(z.string(), z.string()).describe("Vault role by part."),
  ingressUrl: z.string().describe(`Where clients send card numbers. ${absent}`),
  managementUrl: z.string().describe(`The management API. ${absent}`),
  egressAddress: z.string().describe(`Where the application sends its payments by CONNECT, host:port. ${absent}`),
  egressCaBundle: z.string().describe(`What the application trusts on that way, and only there, PEM. ${absent}`),
  databaseAddress: z.string().describe(`Where the database takes writes, host:port. ${absent}`),
  rotation: z.record(z.string(), rotationState).describe("Where the rotation of each class stands."),
  applicationSecrets: applicationOutputs.describe(
    "The secrets of the tenant's application: how to mount and write them.",
  ),
});

/** The whole contract. */
export const stackOutputs = z.strictObject({
  contractVersion: z.literal(contractVersion).describe("Version of this contract."),
  environment: z.string().describe("Name of the environment."),
  vaultAddress: z.string().describe("Address of Vault, as pods reach it."),
  authMount: z.string().describe("Path of the Kubernetes auth mount in Vault."),
  rootCertificate: z.string().describe("The environment's root certificate, PEM."),
  addons: z.array(z.string()).describe("Add-ons that this stack installed."),
  backupBucket: z.string().describe("Bucket of the backups in the cloud; empty without one."),
  prometheusUrl: z.string().describe("Address of Prometheus; empty while monitoring is not provisioned."),
  alertmanagerUrl: z.string().describe("Address of Alertmanager; empty while monitoring is not provisioned."),
  tenants: z.record(z.string(), tenantOutputs).describe("What is told of each tenant, by its name."),
});

/** The outputs of a stack. */
export type StackOutputs = z.output<typeof stackOutputs>;

/** The outputs of one tenant. */
export type TenantOutputs = z.output<typeof tenantOutputs>;

/** What is told of a tenant's application secrets. */
export type ApplicationOutputs = TenantOutputs["applicationSecrets"];
