import { z } from "zod";
import { cidr, dnsLabel, dnsName, httpsUrl, labels, quantityText, webUrl } from "./formats";

const receiver = z.strictObject({
  name: dnsLabel(40).describe("Name of the receiver."),
  kind: z
    .enum(["webhook", "slack", "pagerduty"])
    .describe("What its secret is: the address of a webhook or of one of Slack's, or PagerDuty's routing key."),
  severities: z
    .array(z.enum(["critical", "warning", "info"]))
    .min(1)
    .describe("The severities that it hears of."),
  file: dnsLabel(60).describe("Field of `monitoring/receivers` in the environment's KV mount that holds its secret."),
});

const grafana = z.strictObject({
  mode: z
    .enum(["managed", "none"])
    .default("none")
    .describe("`managed`: Grafana by its chart, with the platform's dashboards and this stack's Prometheus; `none`."),
  chart: z.string().min(1).default("grafana").describe("Name of the chart in the mirror."),
  version: z
    .string()
    .regex(/^v?\d+\.\d+\.\d+([-+].+)?$/, { error: "a full version such as 1.2.3" })
    .default("11.6.1")
    .describe("Version of the chart."),
  values: z.record(z.string(), z.unknown()).default({}).describe("Helm values on top of ours. Never a secret."),
  file: dnsLabel(60)
    .default("admin-password")
    .describe("Field of `monitoring/grafana` in the environment's KV mount that holds the administrator's password."),
  clientNamespaces: z
    .array(dnsLabel())
    .default([])
    .describe("Namespaces whose pods may call Grafana: an ingress's; empty: none."),
});

/** What watches the platform, and who hears of it. */
export const monitoring = z
  .strictObject({
    mode: z
      .enum(["managed", "existing", "none"])
      .default("none")
      .describe(
        "`managed`: Prometheus and Alertmanager by this stack; `existing`: monitors and alerts for somebody else's; `none`.",
      ),
    namespace: dnsLabel().default("monitoring").describe("Namespace of Prometheus."),
    prometheusLabels: labels()
      .default({ "app.kubernetes.io/name": "prometheus" })
      .describe("Labels of the Prometheus pods, for the network policies."),
    labels: labels()
      .default({})
      .describe("Further labels of monitors and rules, by which an existing Prometheus selects them."),
    runbooks: webUrl()
      .default("https://tokenshield.example.com/runbooks")
      .describe("Where `docs/runbooks` is read; alerts link there."),
    alertPatience: z
      .number()
      .min(0.05)
      .max(1)
      .default(1)
      .describe(
        "Share of the time for which a condition has to hold that alerts wait, conditions unchanged. Below 1 only where `safety.dataOnDestroy` is `delete`: for drills.",
      ),
    retentionDays: z.int().min(1).max(730).default(15).describe("How long metrics are kept, in days."),
    replicas: z.int().min(1).max(2).default(2).describe("Pods of Prometheus and of Alertmanager."),
    memory: quantityText().default("2Gi").describe("Memory of one Prometheus, request and limit."),
    cpuRequest: quantityText().default("100m").describe("CPU that one Prometheus is sure of."),
    storage: quantityText().default("20Gi").describe("Volume of one Prometheus."),
    storageClass: dnsName().optional().describe("StorageClass of the volumes. Default: the cluster's default."),
    remoteWrite: z
      .array(httpsUrl())
      .default([])
      .describe("Where samples are sent besides, without a login: a gateway in the cluster's network."),
    remoteWriteCidrs: z.array(cidr()).default([]).describe("Addresses of those; empty: any public one."),
    receivers: z.array(receiver).default([]).describe("Who hears of alerts."),
    receiverCidrs: z.array(cidr()).default([]).describe("Addresses of the receivers; empty: any public one."),
    grafana: grafana.prefault({}),
    vaultMetrics: z
      .enum(["open", "none"])
      .default("open")
      .describe("`open`: Vault's listener allows metrics without a token; `none`: it doesn't, and isn't watched."),
  })
  .superRefine(({ mode, receivers, remoteWrite, grafana: { mode: shown } }, context) => {
    if (mode !== "managed" && shown === "managed") {
      context.addIssue({ code: "custom", path: ["grafana", "mode"], message: "none, as mode isn't managed" });
    }
    if (new Set(receivers.map(({ name }) => name)).size < receivers.length) {
      context.addIssue({ code: "custom", path: ["receivers"], message: "receivers with names of their own" });
    }
    for (const [path, list] of [["receivers", receivers] as const, ["remoteWrite", remoteWrite] as const]) {
      if (mode !== "managed" && list.length > 0) {
        context.addIssue({ code: "custom", path: [path], message: "nothing, as mode isn't managed" });
      }
    }
  });
