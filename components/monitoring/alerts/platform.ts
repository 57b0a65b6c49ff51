import { sampleLimit } from "../limits";
import type { Alert, AlertContext, AlertGroup } from "./alert";

/** Conditions on the cluster's own targets hold only where these are scraped. */
function where(job: AlertContext["jobs"][number], condition: string) {
  return ({ jobs }: AlertContext): readonly string[] => (jobs.includes(job) ? [condition] : []);
}

const targetDown: Alert = {
  name: "TargetDown",
  severity: "warning",
  // Vault's has an alert of its own, which wakes somebody.
  when: 'up{job!="secret-provider"} == 0',
  for: "5m",
  summary: "{{ $labels.job }} {{ $labels.pod }}: its metrics can't be read",
  description:
    "It is down, its certificate isn't good any more, or a network policy is in the way. Its other alerts see nothing.",
  fires: {
    story: "a pod's certificate has ended",
    series: { 'up{job="tokenizer",tenant="acme",pod="a"}': "1x5 0x10" },
    at: "12m",
    labels: { job: "tokenizer", tenant: "acme", pod: "a" },
  },
  stays: {
    story: "a pod restarts",
    series: { 'up{job="tokenizer",tenant="acme",pod="a"}': "1x5 0x3 1x10" },
    at: "12m",
  },
};

const targetMissing: Alert = {
  name: "TargetMissing",
  severity: "critical",
  // `up` of a target that isn't there any more ends; only a list of what should be there tells.
  when: ({ tenants, jobs }) => [
    ...tenants.flatMap((tenant) => tenant.jobs.map((job) => `absent(up{job="${job}",tenant="${tenant.name}"})`)),
    ...jobs.filter((job) => job !== "secret-provider").map((job) => `absent(up{job="${job}"})`),
  ],
  for: "10m",
  summary: "{{ $labels.tenant }} {{ $labels.job }}: there is nothing to read metrics from",
  description: "All of its pods are gone, or Prometheus doesn't find them. Its other alerts see nothing.",
  fires: {
    story: "all tokenizers of a tenant are gone",
    series: {
      'up{job="tokenizer",tenant="acme",pod="a"}': "1x5 _x25",
      ...Object.fromEntries(
        ["database", "inbound", "outbound", "ledgers"].map((job) => [
          `up{job="${job}",tenant="acme",pod="${job}"}`,
          "1x30",
        ]),
      ),
      ...Object.fromEntries(
        ["prometheus", "alertmanager", "prometheus-operator", "csi-driver", "apiserver"].map((job) => [
          `up{job="${job}"}`,
          "1x30",
        ]),
      ),
    },
    at: "25m",
    labels: { job: "tokenizer", tenant: "acme" },
  },
  stays: {
    story: "every target is there, one of them down",
    series: {
      'up{job="tokenizer",tenant="acme",pod="a"}': "0x30",
      ...Object.fromEntries(
        ["database", "inbound", "outbound", "ledgers"].map((job) => [
          `up{job="${job}",tenant="acme",pod="${job}"}`,
          "1x30",
        ]),
      ),
      ...Object.fromEntries(
        ["prometheus", "alertmanager", "prometheus-operator", "csi-driver", "apiserver"].map((job) => [
          `up{job="${job}"}`,
          "1x30",
        ]),
      ),
    },
    at: "25m",
  },
};

const seriesNearLimit: Alert = {
  name: "SeriesNearLimit",
  severity: "warning",
  when: `max by (tenant, job, pod) (scrape_samples_post_metric_relabeling) > ${sampleLimit * 0.8}`,
  for: "10m",
  summary: "{{ $labels.job }} {{ $labels.pod }} serves {{ $value }} series",
  description: `A target with more than ${sampleLimit} series isn't read at all. A label has got values without bound.`,
  fires: {
    story: "a label takes a new value with each request",
    series: { 'scrape_samples_post_metric_relabeling{job="tokenizer",tenant="acme",pod="a"}': "1200+100x60" },
    at: "50m",
    labels: { job: "tokenizer", tenant: "acme", pod: "a" },
  },
  stays: {
    story: "four thousand, and no more",
    series: { 'scrape_samples_post_metric_relabeling{job="tokenizer",tenant="acme",pod="a"}': "4000x40" },
    at: "30m",
  },
};

const mounts: Alert = {
  name: "SecretMountsFailing",
  severity: "critical",
  control: "secret-rotation",
  // It holds for longer than its window, so that one error isn't enough. The kubelet isn't told of an error after the first mount: nothing else shows it.
  when: where("csi-driver", "sum by (provider, error_type) (increase(rotation_reconcile_error_total[10m])) > 0"),
  for: "15m",
  summary: "mounted secrets are no longer brought up to date ({{ $labels.error_type }})",
  description: "Pods go on with the values that they have. After a rotation's grace these no longer open anything.",
  fires: {
    story: "Vault refuses the driver, again and again",
    series: {
      'rotation_reconcile_error_total{job="csi-driver",provider="vault",rotated="false",error_type="ProviderError"}':
        "0x5 1+1x30",
    },
    at: "25m",
    labels: { provider: "vault", error_type: "ProviderError" },
  },
  stays: {
    story: "one error, which the next round makes good",
    series: {
      'rotation_reconcile_error_total{job="csi-driver",provider="vault",rotated="false",error_type="ProviderError"}':
        "0x5 1x30",
    },
    at: "25m",
  },
};

const rulesFailing: Alert = {
  name: "AlertRulesFailing",
  severity: "critical",
  when: where("prometheus", "sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total[10m])) > 0"),
  for: "5m",
  summary: "alerts can't be computed ({{ $labels.rule_group }})",
  description: "A fault that these alerts should tell goes unnoticed.",
  fires: {
    story: "a rule fails at each evaluation",
    series: { 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="database"}': "0+2x30" },
    at: "15m",
    labels: { rule_group: "database" },
  },
  stays: {
    story: "no rule fails",
    series: { 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="database"}': "3x30" },
    at: "15m",
  },
};

const notDelivered: Alert = {
  name: "AlertsNotDelivered",
  severity: "critical",
  when: where("alertmanager", "sum by (integration) (increase(alertmanager_notifications_failed_total[10m])) > 0"),
  for: "5m",
  summary: "alerts don't reach their receivers ({{ $labels.integration }})",
  description: "Nobody hears of what is wrong by this way. Look at the alerts themselves.",
  fires: {
    story: "the receiver refuses each message",
    series: { 'alertmanager_notifications_failed_total{job="alertmanager",integration="webhook"}': "0+1x30" },
    at: "15m",
    labels: { integration: "webhook" },
  },
  stays: {
    story: "messages arrive",
    series: { 'alertmanager_notifications_failed_total{job="alertmanager",integration="webhook"}': "0x30" },
    at: "15m",
  },
};

const notSent: Alert = {
  name: "AlertmanagerUnreachable",
  severity: "critical",
  when: where("prometheus", "min by (job) (prometheus_notifications_alertmanagers_discovered) < 1"),
  for: "5m",
  summary: "Prometheus finds no Alertmanager",
  description: "Alerts are computed and go nowhere.",
  fires: {
    story: "its pods are gone",
    series: { 'prometheus_notifications_alertmanagers_discovered{job="prometheus"}': "1x3 0x20" },
    at: "15m",
    labels: { job: "prometheus" },
  },
  stays: {
    story: "there is one",
    series: { 'prometheus_notifications_alertmanagers_discovered{job="prometheus"}': "1x25" },
    at: "15m",
  },
};

/** Alerts on what watches the rest. */
export const platformAlerts: AlertGroup = {
  name: "platform",
  alerts: [targetDown, targetMissing, seriesNearLimit, mounts, rulesFailing, notDelivered, notSent],
};
