import type { Part } from "../parts";

/** Names in Vault. Mounts, policies and roles carry the environment, so that two stacks fit in one Vault. */

/** The mounts of an environment. */
export interface MountNames {
  /** KV version 2: values and ledgers. */
  readonly kv: string;
  /** Transit: the tenants' key-encryption keys. */
  readonly transit: string;
  /** PKI: the environment's root. */
  readonly root: string;
}

/** The mounts of an environment. Vault can't nest mounts, so only the KV mount has the bare name. */
export function mountNames(environment: string): MountNames {
  const kv = `tokenshield-${environment}`;
  return { kv, transit: `${kv}-transit`, root: `${kv}-pki` };
}

/** The mount of a tenant's intermediate. */
export function intermediateMount(environment: string, tenant: string): string {
  return `${mountNames(environment).root}-${tenant}`;
}

/** The mount of a tenant's egress authority, which signs for payment gateways and nothing else. */
export function egressMount(environment: string, tenant: string): string {
  return `${mountNames(environment).kv}-egress-${tenant}`;
}

/** The name of a tenant's key-encryption key. */
export function keyName(tenant: string): string {
  return `tokenshield-${tenant}`;
}

/** The role, and the policy of the same name, of a tenant's part. */
export function roleName(environment: string, tenant: string, part: Part): string {
  return `tokenshield-${environment}-${tenant}-${part}`;
}

/** The role, and the policy of the same name, of a tenant's application: it reads the application's secrets. */
export function applicationRole(environment: string, tenant: string): string {
  return `tokenshield-${environment}-${tenant}-application`;
}

/** The policy of those who own a tenant's application secrets and write them. */
export function ownerPolicy(environment: string, tenant: string): string {
  return `${applicationRole(environment, tenant)}-owner`;
}
