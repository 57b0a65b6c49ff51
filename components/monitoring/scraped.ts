import { namespaceOf, type Settings, type TenantSettings } from "../../stacks/settings";
import { longestPauseHours } from "../../stacks/schedule";
import { membersOf } from "../database/members";
import type { TokenShield } from "../tokenshield";
import { type ClusterJob, clusterJobs, type TenantJob, tenantJobs } from "./alerts/alert";
import { podsOfCluster } from "./monitors";

/** A tenant that is scraped. */
export interface Scraped {
  readonly name: string;
  readonly namespace: string;
  readonly jobs: readonly TenantJob[];
  readonly members: number;
  readonly backupHours: number | undefined;
  readonly shield: TokenShield;
}

/** Whether a job is that of pods. */
export function isPodJob(job: ClusterJob): job is keyof typeof podsOfCluster {
  return Object.hasOwn(podsOfCluster, job);
}

/** What is scraped of the cluster. */
export function jobsOf({ addons, monitoring }: Settings): ClusterJob[] {
  const present: Readonly<Record<ClusterJob, boolean>> = {
    prometheus: true,
    alertmanager: true,
    "prometheus-operator": addons.prometheusOperator.namespace === monitoring.namespace,
    "secret-provider": monitoring.vaultMetrics === "open",
    "csi-driver": addons.secretsStoreCsiDriver.mode !== "none",
    apiserver: true,
  };
  return clusterJobs.filter((job) => present[job]);
}

/** The tenants whose spec lets the operator discover their metrics, in the order of their names. */
export function scrapedTenants(settings: Settings, tenants: ReadonlyMap<string, TokenShield>): Scraped[] {
  return settings.tenants
    .flatMap((tenant) => {
      const shield = tenants.get(tenant.name);
      if (shield === undefined || !tenant.spec.monitoring.prometheus.serviceMonitor) return [];
      const jobs = tenantJobs.filter((job) => shield.accounts.has(job));
      const members = jobs.includes("database") ? membersOf(settings, tenant) : 0;
      const namespace = namespaceOf(settings.environment, tenant);
      return [{ name: tenant.name, namespace, jobs, members, backupHours: backupHours(settings, tenant), shield }];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How long a backup may take beyond its schedule, in hours. */
const backupMargin = 2;

/** Hours in a year, after which a backup is old whatever its schedule says. */
const yearHours = 366 * 24;

/** The age at which the last backup of a tenant's group is too old, in hours; undefined where none is taken of one. */
export function backupHours({ database }: Settings, { spec }: TenantSettings): number | undefined {
  const { enabled, schedule } = spec.highAvailability.database.backups;
  if (!enabled || database.kind !== "group") return undefined;
  return Math.min(longestPauseHours(schedule), yearHours) + backupMargin;
}
