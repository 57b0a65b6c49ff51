import type { Settings, TenantSettings } from "../../stacks/settings";
import type { Part } from "../parts";
import type { FlowArgs } from "./flows";

/** What the flows of a tenant depend on, from the stack's settings. Lists are sorted: their order there means nothing. */
export function tenantFlows(settings: Settings, tenant: TenantSettings, parts: readonly Part[]): FlowArgs {
  const { cluster, vault, monitoring, database } = settings;
  return {
    parts,
    database: database.kind === "group" ? "pods" : { cidrs: [...database.cidrs].sort(), port: database.port },
    ingressNamespaces: [...tenant.ingressNamespaces].sort(),
    application: tenant.application,
    gateways: tenant.gateways
      .map((gateway) => ({ ...gateway, cidrs: [...gateway.cidrs].sort() }))
      .sort((a, b) => (a.host === b.host ? a.port - b.port : a.host < b.host ? -1 : 1)),
    dns: cluster.dns,
    apiServer: { ...cluster.apiServer, cidrs: [...cluster.apiServer.cidrs].sort() },
    vault: { ...vault.reach, cidrs: [...vault.reach.cidrs].sort() },
    prometheus: { namespace: monitoring.namespace, labels: monitoring.prometheusLabels },
  };
}
