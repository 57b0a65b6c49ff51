import type { Alert, AlertGroup } from "./alert";

const pod = 'tenant="acme",pod="a"';
const revealed = (source: string, outcome: string): string =>
  `tokenshield_tokens_revealed_total{${pod},source="${source}",outcome="${outcome}"}`;

const reveals: Alert = {
  name: "CardRevealsUnusual",
  severity: "warning",
  control: "card-reveals",
  // By the management API alone: what payments need goes through the egress proxy.
  when:
    'sum by (tenant) (increase(tokenshield_tokens_revealed_total{source="api",outcome="ok"}[10m])) > 100' +
    ' and sum by (tenant) (rate(tokenshield_tokens_revealed_total{source="api",outcome="ok"}[10m]))' +
    ' > 5 * sum by (tenant) (rate(tokenshield_tokens_revealed_total{source="api",outcome="ok"}[1d]))',
  for: "0m",
  summary: "{{ $labels.tenant }}: {{ $value | humanize }} card numbers were shown in ten minutes",
  description:
    "More than a hundred, and five times the rate of the last day. Somebody may be copying cards (PCI DSS 10.4.1.1).",
  fires: {
    story: "a quiet day, then thirty a minute",
    series: { [revealed("api", "ok")]: "0+1x288 438+150x12" },
    at: "1480m",
    every: "5m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "nine a minute for a day, then thirty a minute",
    series: { [revealed("api", "ok")]: "0+45x288 13110+150x20" },
    at: "1540m",
    every: "5m",
  },
};

const unknownTokens: Alert = {
  name: "UnknownTokensAsked",
  severity: "warning",
  control: "card-reveals",
  when: 'sum by (tenant, source) (increase(tokenshield_tokens_revealed_total{outcome="unavailable"}[10m])) > 100',
  for: "0m",
  summary:
    "{{ $labels.tenant }}: {{ $value | humanize }} tokens that nobody has were asked for by {{ $labels.source }}",
  description: "Somebody guesses tokens, or the application sends tokens of another tenant or environment.",
  fires: {
    story: "twenty a minute",
    series: { [revealed("icap", "unavailable")]: "0+20x20" },
    at: "15m",
    labels: { tenant: "acme", source: "icap" },
  },
  stays: {
    story: "two a minute",
    series: { [revealed("icap", "unavailable")]: "0+2x20" },
    at: "15m",
  },
};

const logins: Alert = {
  name: "LoginsRefused",
  severity: "warning",
  control: "logins",
  when: "sum by (tenant, kind) (increase(tokenshield_auth_failures_total[5m])) > 20",
  for: "0m",
  summary:
    "{{ $labels.tenant }}: {{ $value | humanize }} credentials ({{ $labels.kind }}) were refused in five minutes",
  description: "Somebody guesses, or a program goes on with a credential that was changed.",
  fires: {
    story: "ten wrong passwords a minute",
    series: { [`tokenshield_auth_failures_total{${pod},kind="password"}`]: "0+10x10" },
    at: "8m",
    labels: { tenant: "acme", kind: "password" },
  },
  stays: {
    story: "two a minute",
    series: { [`tokenshield_auth_failures_total{${pod},kind="password"}`]: "0+2x10" },
    at: "8m",
  },
};

const audit: Alert = {
  name: "AuditSinkFailing",
  severity: "critical",
  control: "audit",
  when: ({ jobs }) => [
    ...(jobs.includes("secret-provider")
      ? ["increase(vault_audit_log_request_failure[10m]) > 0", "increase(vault_audit_log_response_failure[10m]) > 0"]
      : []),
    ...(jobs.includes("apiserver")
      ? [
          "sum by (job, plugin) (increase(apiserver_audit_error_total[10m])) > 0",
          // Its series begins with the first error, of which `increase` sees nothing.
          "sum by (job, plugin) (apiserver_audit_error_total)" +
            " unless sum by (job, plugin) (apiserver_audit_error_total offset 10m)",
        ]
      : []),
  ],
  for: "0m",
  summary: "{{ $labels.job }}: audit records can't be written",
  description:
    "Vault refuses what it can't record, so requests fail; the API server goes on without a record (PCI DSS 10.7.2).",
  fires: {
    story: "Vault's devices refuse a record",
    series: { 'vault_audit_log_request_failure{job="secret-provider",instance="vault:8200"}': "0x5 1x10" },
    at: "8m",
    labels: { job: "secret-provider", instance: "vault:8200" },
  },
  stays: {
    story: "every record is written",
    series: {
      'vault_audit_log_request_failure{job="secret-provider",instance="vault:8200"}': "0x15",
      'vault_audit_log_response_failure{job="secret-provider",instance="vault:8200"}': "0x15",
    },
    at: "8m",
  },
};

const trafficRefused: Alert = {
  name: "CardTrafficRefused",
  severity: "warning",
  when: 'sum by (tenant, reason) (rate(tokenshield_refused_total{reason=~"parse|size|coding|policy"}[10m])) > 1',
  for: "10m",
  summary: "{{ $labels.tenant }}: {{ $value | humanize }} requests a second are refused ({{ $labels.reason }})",
  description:
    "Traffic that can't be searched for card numbers for sure isn't let through. A client has changed what it sends.",
  fires: {
    story: "two a second can't be read",
    series: { [`tokenshield_refused_total{${pod},reason="parse"}`]: "0+120x40" },
    at: "30m",
    labels: { tenant: "acme", reason: "parse" },
  },
  stays: {
    story: "one in ten seconds",
    series: { [`tokenshield_refused_total{${pod},reason="parse"}`]: "0+6x40" },
    at: "30m",
  },
};

/** Alerts on who does what with cards. */
export const securityAlerts: AlertGroup = {
  name: "security",
  alerts: [reveals, unknownTokens, logins, audit, trafficRefused],
};
