import * as pulumi from "@pulumi/pulumi";
import { type ApplicationOutputs, contractVersion, type StackOutputs, type TenantOutputs } from "../stacks/outputs";
import { fileOf } from "../stacks/application-secrets";
import type { Platform } from "./platform";
import { addressesOf } from "./proxies/proxies";
import { mountOf } from "./secrets/application-groups";
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
    caBundle: tenant.caBundle,
    kvPath: pulumi.interpolate`${foundation.kv.path}/${groupPath(name, "")}`.apply((path) => path.replace(/\/$/, "")),
    transitKey: pulumi.interpolate`${foundation.transit.path}/keys/${vault.key.name}`,
    issuer: vault.issuer,
    vaultRoles: pulumi.all(Object.fromEntries([...vault.roles].map(([part, role]) => [part, role.roleName]))),
    ...addressesOf(proxies, tenant.egressBundle),
    managementUrl: tokenizer.managementUrl,
    databaseAddress: pulumi.interpolate`${database.address.host}:${database.address.port}`,
    rotation: Object.fromEntries([...tenant.classes].map(([className, { state }]) => [className, { ...state }])),
    applicationSecrets: pulumi.output(applicationOutputsOf(tenant)),
  };
}

/** What the team of a tenant's application needs to mount its secrets and to write them. */
function applicationOutputsOf({ application }: TokenShield): Promised<ApplicationOutputs> {
  if (application === undefined) {
    return { provider: "", namespace: "", account: "", ownerPolicy: "", mounts: [], groups: {} };
  }
  const { provider, namespace, groups: listed, secrets, paths, ownerPolicy = "" } = application;
  const classes = new Map(secrets.mounts.map(({ mount, providerClass }) => [mount, providerClass]));
  const groups = listed.map((group) => {
    const state = secrets.states.get(group.group) ?? { version: "", since: "", due: "", reminder: "" };
    const told = {
      path: paths.get(group.group) ?? "",
      providerClass: classes.get(mountOf(group)) ?? "",
      files: Object.fromEntries(group.fields.map((field) => [field.name, fileOf(field)])),
      optional: group.optional,
      className: group.class,
    };
    return [group.group, pulumi.all([told, state]).apply(([one, two]) => ({ ...one, ...two }))] as const;
  });
  return {
    provider,
    namespace,
    account: secrets.account,
    ownerPolicy,
    mounts: pulumi.all(secrets.mounts.map(({ providerClass, path }) => ({ providerClass, path }))),
    groups: pulumi.all(Object.fromEntries(groups)),
  };
}
