import { ports, type Part, roleLabel } from "../parts";
import { serviceNames } from "../vault/tenant";
import type { ClusterJob, TenantJob } from "./alerts/alert";
import { sampleLimit } from "./limits";

/** A PodMonitor's spec, as far as it is used. */
export interface PodMonitorSpec {
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly namespaceSelector?: { readonly matchNames: readonly string[] };
  readonly podMetricsEndpoints: readonly object[];
}

/** Where a tenant's parts serve metrics: the names of the ports, and whether by TLS. */
const tenantPorts: Readonly<
  Record<TenantJob, { readonly served: readonly string[]; readonly scheme: "https" | "http" }>
> = {
  tokenizer: { served: ["api"], scheme: "https" },
  // The agent serves probes and metrics in clear.
  database: { served: ["metrics"], scheme: "http" },
  inbound: { served: ["metrics"], scheme: "https" },
  outbound: { served: ["metrics", "squid-metrics"], scheme: "https" },
  ledgers: { served: ["metrics"], scheme: "https" },
};

/** The numbers of the same ports, for the network policies. */
export const scrapedPorts: Readonly<Record<TenantJob, readonly number[]>> = {
  tokenizer: [ports.management],
  database: [ports.mysqlAgent],
  inbound: [ports.inboundMetrics],
  outbound: [ports.outboundMetrics, ports.squidMetrics],
  ledgers: [ports.ledgers],
};

/** Sets a label of every series of a target. */
const label = (targetLabel: string, replacement: string): object => ({ targetLabel, replacement });

/** What a tenant's monitor depends on. */
export interface TenantMonitorArgs {
  readonly tenant: string;
  readonly namespace: string;
  readonly job: TenantJob;
  /** ConfigMap and key with the authorities of the tenant's certificates. */
  readonly authorities: { readonly name: unknown; readonly key: string };
}

/** The monitor of one part of a tenant. Its series have the labels `job` and `tenant`, by which alerts find them. */
export function tenantMonitor({ tenant, namespace, job, authorities }: TenantMonitorArgs): PodMonitorSpec {
  const { served, scheme } = tenantPorts[job];
  const part: Part = job;
  return {
    selector: { matchLabels: { app: "tokenshield", [roleLabel]: part } },
    podMetricsEndpoints: served.map((port) => ({
      port,
      path: "/metrics",
      scheme,
      ...(scheme === "http"
        ? {}
        : { tlsConfig: { ca: { configMap: authorities }, serverName: serviceNames(part, namespace)[0] } }),
      relabelings: [label("job", job), label("tenant", tenant)],
    })),
    ...{ sampleLimit },
  };
}

/** The monitors of what runs in the cluster as pods and serves metrics in clear: they carry no card and no secret. */
export const podsOfCluster = {
  prometheus: { labels: { "app.kubernetes.io/name": "prometheus" }, port: "web" },
  alertmanager: { labels: { "app.kubernetes.io/name": "alertmanager" }, port: "web" },
  "prometheus-operator": { labels: { "app.kubernetes.io/name": "prometheus-operator" }, port: "http" },
  "csi-driver": { labels: { "app.kubernetes.io/name": "secrets-store-csi-driver" }, port: "metrics" },
} as const satisfies Partial<
  Record<ClusterJob, { readonly labels: Readonly<Record<string, string>>; readonly port: string }>
>;

/** What of the cluster's pods is kept: their own series are many, and nothing asks for most of them. */
const keptOfCluster: Readonly<Record<keyof typeof podsOfCluster, string>> = {
  prometheus:
    "prometheus_(build_info|config_last_reload_successful|notifications_.*|rule_(evaluation|group)_.*|tsdb_head_(series|chunks)|tsdb_.*_failed_total|target_scrape_pool_.*_limit_total)|process_resident_memory_bytes",
  alertmanager:
    "alertmanager_(build_info|config_last_reload_successful|alerts|notifications_(failed_)?total)|process_resident_memory_bytes",
  "prometheus-operator": "prometheus_operator_(reconcile_(operations|errors)_total|ready|managed_resources)",
  "csi-driver": "(total_)?(rotation_reconcile|node_publish|node_unpublish).*",
};

/** The monitor of pods of the cluster in one namespace. */
export function clusterMonitor(job: keyof typeof podsOfCluster, namespace: string): PodMonitorSpec {
  const { labels, port } = podsOfCluster[job];
  return {
    selector: { matchLabels: labels },
    namespaceSelector: { matchNames: [namespace] },
    podMetricsEndpoints: [
      {
        port,
        path: "/metrics",
        scheme: "http",
        relabelings: [label("job", job)],
        metricRelabelings: [{ sourceLabels: ["__name__"], regex: keptOfCluster[job], action: "keep" }],
      },
    ],
    ...{ sampleLimit },
  };
}

/** Where Prometheus finds the token of its account and the authority of the API server. */
const account = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The monitor of the API server: of its thousands of series the few that are asked for. */
export const apiServerMonitor = {
  selector: { matchLabels: { component: "apiserver", provider: "kubernetes" } },
  namespaceSelector: { matchNames: ["default"] },
  endpoints: [
    {
      port: "https",
      scheme: "https",
      interval: "60s",
      bearerTokenFile: `${account}/token`,
      tlsConfig: { caFile: `${account}/ca.crt`, serverName: "kubernetes.default.svc" },
      relabelings: [label("job", "apiserver")],
      metricRelabelings: [{ sourceLabels: ["__name__"], regex: "apiserver_audit_(event|error)_total", action: "keep" }],
    },
  ],
} as const;

/**
 * How Vault is scraped, which is no pod of ours: its listener has to allow metrics without a token
 * (`unauthenticated_metrics_access`).
 * @param address address of Vault as pods reach it
 * @param authorities ConfigMap and key with the authorities that signed its certificate; absent: public ones
 */
export function vaultScrape(
  address: string,
  authorities: { readonly name: unknown; readonly key: string } | undefined,
): object {
  const { host, hostname, port } = new URL(address);
  return {
    scheme: "HTTPS",
    metricsPath: "/v1/sys/metrics",
    params: { format: ["prometheus"] },
    staticConfigs: [{ targets: [port === "" ? `${hostname}:443` : host] }],
    tlsConfig: { serverName: hostname, ...(authorities === undefined ? {} : { ca: { configMap: authorities } }) },
    relabelings: [label("job", "secret-provider")],
    metricRelabelings: [
      {
        sourceLabels: ["__name__"],
        regex:
          "vault_(audit_log_.*_failure|core_(active|unsealed|leadership_lost_count)|token_count|expire_num_leases)",
        action: "keep",
      },
    ],
    sampleLimit,
  };
}
