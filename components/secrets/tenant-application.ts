import * as pulumi from "@pulumi/pulumi";
import { groupPath } from "@tokenshield/rotation";
import type { ApplicationSecretGroup } from "../../stacks/application-secrets";
import type { Settings, TenantSettings } from "../../stacks/settings";
import { ApplicationStore, type PodIdentity } from "../cloud/application-store";
import type { DataGuard } from "../guard";
import type { LabelArgs } from "../parts";
import { ApplicationLogin } from "../vault/application-login";
import type { VaultFoundation } from "../vault/foundation";
import { accountParameter, applicationAccount, type Provider, secretName } from "./application-groups";
import { type ApplicationDelivery, ApplicationSecrets } from "./application-secrets";
import { absentEntry, type EntryState } from "./application-state";
import type { TenantEntries } from "./read-entries";

/** What a tenant's application secrets are made from. */
export interface TenantApplicationArgs {
  readonly settings: Settings;
  readonly tenant: TenantSettings;
  readonly foundation: Pick<VaultFoundation, "kv" | "authMount">;
  /** What Vault tells of the tenant's groups; empty where they lie elsewhere. */
  readonly entries: TenantEntries;
  readonly guard: DataGuard;
  readonly now: Date;
  readonly labels: LabelArgs;
}

/** A tenant's application secrets, and where they lie. */
export interface TenantApplication {
  readonly provider: Provider;
  /** Namespace of the application. */
  readonly namespace: string;
  readonly groups: readonly ApplicationSecretGroup[];
  readonly secrets: ApplicationSecrets;
  /** Where each group lies in its store, by group. */
  readonly paths: ReadonlyMap<string, pulumi.Output<string>>;
  /** Vault's policy of those who write them; undefined where they lie in AWS. */
  readonly ownerPolicy: pulumi.Output<string> | undefined;
}

/**
 * @param prefix of the names, that of the tenant
 * @returns undefined where the tenant lists no secrets
 */
export function tenantApplication(
  prefix: string,
  args: TenantApplicationArgs,
  opts: pulumi.ComponentResourceOptions,
): TenantApplication | undefined {
  const { settings, tenant } = args;
  const namespace = tenant.application?.namespace;
  if (tenant.secrets.length === 0 || namespace === undefined) return undefined;
  const ordered = { ...args, tenant: { ...tenant, secrets: inOrder(tenant.secrets) } };
  return settings.applicationSecrets.provider === "aws"
    ? inAws(prefix, namespace, ordered, opts)
    : inVault(prefix, namespace, ordered, opts);
}

/** By name: the order in the settings means nothing. */
function inOrder(groups: readonly ApplicationSecretGroup[]): ApplicationSecretGroup[] {
  return groups
    .map((group) => ({ ...group, fields: [...group.fields].sort((a, b) => (a.name < b.name ? -1 : 1)) }))
    .sort((a, b) => (a.group < b.group ? -1 : 1));
}

function inVault(
  prefix: string,
  namespace: string,
  args: TenantApplicationArgs,
  opts: pulumi.ComponentResourceOptions,
): TenantApplication {
  const { settings, tenant, foundation } = args;
  const { environment, vault } = settings;
  const groups = tenant.secrets.map(({ group }) => group);
  const { role, ownerPolicy } = new ApplicationLogin(
    `${prefix}-application-login`,
    {
      environment,
      tenant: tenant.name,
      groups,
      namespace,
      account: applicationAccount,
      authMount: foundation.authMount,
    },
    opts,
  );
  const login = {
    vaultAddress: vault.podAddress ?? vault.address,
    vaultNamespace: vault.namespace,
    vaultCaPath: vault.csiCaPath,
    authMount: foundation.authMount,
    role,
  };
  const delivery: ApplicationDelivery = { provider: "vault", login, mount: foundation.kv.path };
  const entries = new Map(groups.map((group) => [group, args.entries.get(group) ?? absentEntry]));
  return {
    provider: "vault",
    namespace,
    groups: tenant.secrets,
    secrets: secretsOf(prefix, namespace, args, { delivery, entries }, opts),
    paths: new Map(
      groups.map((group) => [group, pulumi.interpolate`${foundation.kv.path}/${groupPath(tenant.name, group)}`]),
    ),
    ownerPolicy,
  };
}

function inAws(
  prefix: string,
  namespace: string,
  args: TenantApplicationArgs,
  opts: pulumi.ComponentResourceOptions,
): TenantApplication {
  const { settings, tenant, guard } = args;
  const { environment, tags, cloud, applicationSecrets } = settings;
  const { region = "", oidcProviderArn = "" } = cloud;
  const names = new Map(
    tenant.secrets.map(({ group }) => [group, secretName(environment, tenant.name, group)] as const),
  );
  const identity: PodIdentity =
    applicationSecrets.identity === "irsa"
      ? { kind: "irsa", oidcProviderArn }
      : { kind: "pod-identity", cluster: applicationSecrets.eksCluster ?? "" };
  const store = new ApplicationStore(
    `${prefix}-application-store`,
    {
      environment,
      tenant: tenant.name,
      region,
      entries: names,
      accountParameter: tenant.secrets.some(({ optional }) => optional)
        ? accountParameter(environment, tenant.name)
        : undefined,
      namespace,
      account: applicationAccount,
      identity,
      tags,
      guard,
    },
    opts,
  );
  const entries = new Map(
    [...store.versions].map(([group, stored]) => [
      group,
      stored.apply((version): EntryState =>
        version === undefined
          ? absentEntry
          : { version: version.versionId, since: version.createdTime, names: "untold" },
      ),
    ]),
  );
  const delivery: ApplicationDelivery = {
    provider: "aws",
    region,
    identity: identity.kind,
    roleArn: store.roleArn,
  };
  return {
    provider: "aws",
    namespace,
    groups: tenant.secrets,
    secrets: secretsOf(prefix, namespace, args, { delivery, entries }, opts),
    paths: new Map([...names].map(([group, name]) => [group, pulumi.output(name)])),
    ownerPolicy: undefined,
  };
}

function secretsOf(
  prefix: string,
  namespace: string,
  { settings, tenant, now, labels }: TenantApplicationArgs,
  made: {
    readonly delivery: ApplicationDelivery;
    readonly entries: ReadonlyMap<string, pulumi.Input<EntryState>>;
  },
  opts: pulumi.ComponentResourceOptions,
): ApplicationSecrets {
  return new ApplicationSecrets(
    `${prefix}-application`,
    {
      environment: settings.environment,
      tenant: tenant.name,
      namespace,
      groups: tenant.secrets,
      policies: settings.rotation.classes,
      now,
      labels,
      ...made,
    },
    opts,
  );
}
