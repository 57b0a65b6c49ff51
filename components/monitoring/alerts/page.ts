import { type AlertContext, clusterJobs, conditionOf, tenantJobs } from "./alert";
import { type Metric, metrics } from "./metrics";
import { alertGroups } from "./rules";

const sample: AlertContext = {
  tenants: [{ name: "TENANT", jobs: tenantJobs, members: 3, backupHours: 26 }],
  jobs: clusterJobs,
  leafMinutes: 1440,
  keyDays: 365,
  graceHours: { api: 2, database: 24, encryption: 168, jwt: 48 },
  trustHours: 24,
  patience: 1,
};

const catalogue: Readonly<Record<string, Metric>> = metrics;

/** @returns the metrics that a condition names, each once, in the order of the alphabet */
export function metricsOf(condition: string): string[] {
  const words = condition.replaceAll(/"[^"]*"/g, "").match(/\b[a-z][a-z0-9_]*\b/g) ?? [];
  return [...new Set(words)].filter((word) => Object.hasOwn(catalogue, word)).sort();
}

/** The text of `docs/alerts.md`: every alert, what it looks at, and who serves that. */
export function alertPage(): string {
  const lines = [
    "# Alerts",
    "",
    "This page is made from `components/monitoring/alerts` by `npm run docs`. The conditions are those of one tenant,",
    "`TENANT`, with a group of three members and a backup a day, certificates of a day, keys of at most a year, and a day for applications to load a bundle. `promtool` runs a case in",
    "which each alert fires and one in which it doesn't (`test/lab/alerts.test.ts`).",
  ];
  for (const { name, alerts } of alertGroups) {
    lines.push("", `## ${name}`);
    for (const alert of alerts) {
      const condition = conditionOf(alert, sample) ?? "";
      const exporters = metricsOf(condition).map((metric) => `\`${metric}\` (${catalogue[metric]?.exporter ?? ""})`);
      const control = alert.control === undefined ? "" : `, control \`${alert.control}\``;
      lines.push(
        "",
        `### ${alert.name}`,
        "",
        `${alert.severity}${control}, after ${alert.for}. ${alert.description} [Runbook](runbooks/${alert.name}.md).`,
        "",
        "```promql",
        condition,
        "```",
        "",
        `Metrics: ${exporters.join(", ")}.`,
        "",
        ...[alert.fires, ...(alert.firesToo ?? [])].map(({ story }) => `- Fires: ${story}.`),
        `- Stays quiet: ${alert.stays.story}.`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
