import * as pulumi from "@pulumi/pulumi";
import { contractVersion, type StackOutputs, type TenantOutputs } from "../stacks/outputs";
import type { Platform } from "./platform";
import { addressesOf } from "./proxies/proxies";
import type { TokenShield } from "./tokenshield";
import { groupPath } from "@tokenshield/rotation";

/** Every field of the contract as an output. */
export type Promised<T> = { readonly [K in keyof T]: pulumi.Input<T[K]> };

/** What a stack tells other teams. No secret is among it. */
export function outputsOf({
  settings,
  foundation,
  addons,
  storage,
  monitoring,
  tenants,
}: Platform): Promised<StackOutputs> {
  return {
    contractVersion,
    environment: settings.environment,
    vaultAddress: settings.vault.podAddress ?? settings.vault.address,
    authMount: foundation.authMount,
    rootCertificate: foundation.rootCertificate,
    addons: [...addons.installed],
    backupBucket: storage?.bucket.bucket ?? "",
    prometheusUrl: monitoring?.prometheusUrl ?? "",
    alertmanagerUrl: monitoring?.alertmanagerUrl ?? "",
    tenants: pulumi.all(
      Object.fromEntries(
        [...tenants].map(([name, tenant]) => [name, pulumi.output(tenantOutputsOf(name, tenant, foundation))]),
      ),
    ),
  };
}

function tenantOutputsOf(
  name: string,
  tenant: TokenShield,
  foundation: Platform["foundation"],
): Promised<TenantOutputs> {
  const { database, tokenizer, proxies, vault } = tenant;
  const hasProxies = proxies.ingress !== undefined || proxies.egress !== undefined;
  const provisioned = ["database", "tokenizer", ...(hasProxies ? ["proxies"] : [])];
  return {
    namespace: tenant.namespace.metadata.name,
    provisioned,
    caBundle: vault.caBundle,
    kvPath: pulumi.interpolate`${foundation.kv.path}/${groupPath(name, "")}`.apply((path) => path.replace(/\/$/, "")),
    transitKey: pulumi.interpolate`${foundation.transit.path}/keys/${vault.key.name}`,
    issuer: vault.issuer,
    vaultRoles: pulumi.all(Object.fromEntries([...vault.roles].map(([part, role]) => [part, role.roleName]))),
    ...addressesOf(proxies),
    managementUrl: tokenizer.managementUrl,
    databaseAddress: pulumi.interpolate`${database.address.host}:${database.address.port}`,
    rotation: Object.fromEntries([...tenant.classes].map(([className, { state }]) => [className, { ...state }])),
  };
}
