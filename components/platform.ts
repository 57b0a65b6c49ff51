import * as aws from "@pulumi/aws/provider";
import * as kubernetes from "@pulumi/kubernetes/provider";
import type * as pulumi from "@pulumi/pulumi";
import * as vault from "@pulumi/vault/provider";
import type { Settings } from "../stacks/settings";
import { Addons } from "./addons/addons";
import type { DriverArgs } from "./addons/values";
import { BackupStorage } from "./cloud/backup-storage";
import { Monitoring } from "./monitoring/monitoring";
import { TokenShield } from "./tokenshield";
import type { EntryState } from "./secrets/application-state";
import { readEntries, type TenantEntries } from "./secrets/read-entries";
import { readLedgers } from "./secrets/read-ledgers";
import { type OwnerArgs, VaultFoundation } from "./vault/foundation";
import { mountNames } from "./vault/names";
import { TokenReviewer } from "./vault/reviewer";

/** What a platform takes from the machine that deploys it. */
export interface Surroundings {
  /** The time of the update. */
  readonly now: Date;
  /** Authorities that signed Vault's certificate, PEM. */
  readonly vaultCa?: string | undefined;
  /** Authorities of databases outside the cluster, PEM. */
  readonly databaseCa?: string | undefined;
  /** Vault's authorities as a file, for its provider. */
  readonly vaultCaFile?: string | undefined;
  /** The kubeconfig, as the cluster's provider reaches it. Default: KUBECONFIG, else ~/.kube/config. */
  readonly kubeconfig?: string | undefined;
  /** Where charts come from: as the settings say, a folder as the providers reach it. */
  readonly charts: string;
}

/** The whole platform of a stack. */
export interface Platform {
  readonly settings: Settings;
  readonly foundation: VaultFoundation;
  readonly addons: Addons;
  /** Where backups go; absent without a cloud. */
  readonly storage: BackupStorage | undefined;
  /** Monitoring; absent where the settings want none. */
  readonly monitoring?: Monitoring;
  /** The tenants by name. */
  readonly tenants: ReadonlyMap<string, TokenShield>;
}

/**
 * Builds the platform of a stack: the providers, what cluster and Vault need once, and each tenant.
 * @throws SettingsError, LedgerError, InputPropertiesError; what Vault says where it can't be read
 */
export async function buildPlatform(settings: Settings, surroundings: Surroundings): Promise<Platform> {
  const { environment, tags, vault: store } = settings;
  const vaultOfStack = vaultProvider(settings, surroundings);
  const opts = { providers: [clusterProvider(settings, surroundings), vaultOfStack, ...cloudProviders(settings)] };
  const labels = { environment, tags };
  const names = settings.tenants.map(({ name }) => name);
  const { kv } = mountNames(environment);
  const [ledgers, entries] = await Promise.all([
    readLedgers(kv, names, { provider: vaultOfStack }),
    entriesOf(kv, settings, { provider: vaultOfStack }),
  ]);

  const addons = new Addons(
    "addons",
    {
      owner: settings.cluster.owner,
      charts: surroundings.charts,
      addons: settings.addons,
      driver: driverOf(settings),
      labels,
    },
    opts,
  );
  const foundation = new VaultFoundation(
    "vault",
    {
      environment,
      authMount: store.authMount,
      owner: ownerArgs(settings, opts),
      rootDays: store.pki.rootDays,
      guard: { protect: settings.safety.protect, onDestroy: settings.safety.dataOnDestroy },
    },
    opts,
  );
  const storage = storageOf(settings, opts);
  const tenants = [...settings.tenants]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((tenant) => {
      const { now, vaultCa, databaseCa } = surroundings;
      const own = ledgers.get(tenant.name) ?? {};
      const known = entries.get(tenant.name) ?? new Map<string, EntryState>();
      const read = { ledgers: own, entries: known, vaultCa, databaseCa, now };
      const args = { settings, tenant, foundation, addons, storage, ...read };
      return [tenant.name, new TokenShield(tenant.name, args, opts)] as const;
    });
  const platform = { settings, foundation, addons, storage, tenants: new Map(tenants) };
  if (settings.monitoring.mode === "none") return platform;
  const { vaultCa, charts } = surroundings;
  return { ...platform, monitoring: new Monitoring("monitoring", { ...platform, vaultCa, charts }, opts) };
}

/** What Vault tells of every tenant's application secrets, by tenant; nothing where they lie elsewhere. */
async function entriesOf(
  mount: string,
  { applicationSecrets, tenants }: Settings,
  options: pulumi.InvokeOptions,
): Promise<ReadonlyMap<string, TenantEntries>> {
  if (applicationSecrets.provider !== "vault") return new Map();
  const read = tenants.map(async ({ name, secrets }) => {
    const groups = secrets.map(({ group }) => group);
    return [name, await readEntries(mount, name, groups, options)] as const;
  });
  return new Map(await Promise.all(read));
}

/** What the tenants' application secrets ask of the CSI driver. */
function driverOf({ applicationSecrets: { provider, identity }, tenants }: Settings): DriverArgs {
  const groups = tenants.flatMap(({ secrets }) => secrets);
  const audience = identity === "irsa" ? "sts.amazonaws.com" : "pods.eks.amazonaws.com";
  return {
    copies: groups.some(({ syncTo }) => syncTo !== undefined) ? "asked for" : "none",
    audiences: provider === "aws" && groups.length > 0 ? [audience] : [],
  };
}

function clusterProvider({ cluster }: Settings, { kubeconfig }: Surroundings): kubernetes.Provider {
  return new kubernetes.Provider("cluster", {
    context: cluster.context,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    clusterIdentifier: cluster.identifier,
    enableServerSideApply: true,
  });
}

/** The token comes from VAULT_TOKEN, so that it never lies in the state. */
function vaultProvider({ vault: { address, namespace } }: Settings, { vaultCaFile }: Surroundings): vault.Provider {
  return new vault.Provider("vault", {
    address,
    ...(namespace === undefined ? {} : { namespace }),
    ...(vaultCaFile === undefined ? {} : { caCertFile: vaultCaFile }),
    // A child token's end would take what was issued under it along.
    skipChildToken: true,
  });
}

/** Credentials come from the environment of whoever deploys. */
function cloudProviders({ cloud: { provider, region } }: Settings): aws.Provider[] {
  return provider === "aws" && region !== undefined ? [new aws.Provider("cloud", { region })] : [];
}

function storageOf(settings: Settings, opts: pulumi.ComponentResourceOptions): BackupStorage | undefined {
  const { cloud, environment, tags, safety } = settings;
  const { provider, oidcProviderArn, backupRetentionDays: retentionDays } = cloud;
  if (provider === "none" || oidcProviderArn === undefined) return undefined;
  const guard = { protect: safety.protect, onDestroy: safety.dataOnDestroy };
  return new BackupStorage("backups", { environment, oidcProviderArn, retentionDays, tags, guard }, opts);
}

function ownerArgs(
  { vault: { owner, kubernetes: api, audit }, environment, tags }: Settings,
  opts: pulumi.ComponentResourceOptions,
): OwnerArgs | undefined {
  if (owner === "existing" || api === undefined) return undefined;
  if (api.reviewer === "vault") return { kubernetesHost: api.host, audit };
  const reviewer = new TokenReviewer("vault-reviewer", { labels: { environment, tags } }, opts);
  return { kubernetesHost: api.host, kubernetesCa: reviewer.apiServerCa, reviewerToken: reviewer.token, audit };
}
