import { namespaceOf, type Settings } from "../../stacks/settings";
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
      return [{ name: tenant.name, namespace: namespaceOf(settings.environment, tenant), jobs, members, shield }];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
