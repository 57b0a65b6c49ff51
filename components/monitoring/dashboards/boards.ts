import { objectives } from "../alerts/objectives";
import { type DashboardPlan, figure, lines } from "./panels";

const window = "$__rate_interval";

/** The nine panels of the secrets runtime, with the titles and in the order that its contract fixes. */
const secrets: DashboardPlan = {
  uid: "tokenshield-secrets",
  title: "TokenShield Secrets Management",
  panels: [
    lines("Secret Access Rate", "reqps", "Reads of secrets a second.", {
      expr: "sum by (tenant_id, result) (rate(secret_access_total[5m]))",
      legend: "{{tenant_id}} {{result}}",
    }),
    lines("Secret Access Latency (p95)", "s", "The 95th percentile of reads; the target is 50 ms.", {
      expr: "histogram_quantile(0.95, sum by (provider, cached, le) (rate(secret_access_latency_seconds_bucket[5m])))",
      legend: "{{provider}} cached {{cached}}",
    }),
    lines("Cache Hit Rate", "percentunit", "Share of reads that memory serves.", {
      expr:
        "sum by (tenant_id) (rate(secret_cache_hits_total[5m])) / (sum by (tenant_id) (rate(secret_cache_hits_total[5m]))" +
        " + sum by (tenant_id) (rate(secret_cache_misses_total[5m])))",
      legend: "{{tenant_id}}",
    }),
    figure("Secret Rotation Success Rate", "percentunit", "Share of the last day's changes that parts took up.", {
      // Over a day: rotations are weeks apart, and an hour without any has no rate.
      expr:
        'sum by (tenant_id) (increase(secret_rotation_total{result="success"}[1d]))' +
        " / sum by (tenant_id) (increase(secret_rotation_total[1d]))",
      legend: "{{tenant_id}}",
    }),
    lines("Secret Access Errors", "reqps", "Reads that failed, a second.", {
      expr: "sum by (tenant_id, error_type) (rate(secret_access_errors_total[5m]))",
      legend: "{{tenant_id}} {{error_type}}",
    }),
    lines("Rotation Duration (p95)", "s", "Time to take a changed secret up; beyond 300 s the curve ends.", {
      expr: "histogram_quantile(0.95, sum by (tenant_id, secret_key, le) (increase(secret_rotation_duration_seconds_bucket[1h])))",
      legend: "{{tenant_id}} {{secret_key}}",
    }),
    figure("Active Rotation Jobs", "short", "Changes that are being taken up now.", {
      expr: "sum by (tenant) (secret_rotation_jobs_active)",
      legend: "{{tenant}}",
    }),
    figure("Secrets Watched", "short", "Files that each pod watches.", {
      expr: "min by (tenant) (secrets_watched)",
      legend: "{{tenant}}",
    }),
    lines("Secret Cache Size", "short", "Secrets in memory.", {
      expr: "max by (tenant, provider) (secret_cache_size)",
      legend: "{{tenant}} {{provider}}",
    }),
  ],
};

const cards = 'plane=~"http|icap"';
const failing = (range: string): string =>
  `(sum by (tenant) (rate(tokenshield_requests_total{${cards},outcome="error"}[${range}]))` +
  ` + sum by (tenant) (rate(tokenshield_refused_total{reason=~"store|key"}[${range}])))` +
  ` / sum by (tenant) (rate(tokenshield_requests_total{${cards}}[${range}]))`;
const budget = Number((1 - objectives.availability).toFixed(6));

const overview: DashboardPlan = {
  uid: "tokenshield-overview",
  title: "TokenShield Overview",
  panels: [
    figure(
      "Availability",
      "percentunit",
      `Share of card traffic that succeeds; the objective is ${objectives.availability}.`,
      {
        expr: `1 - ${failing("1d")}`,
        legend: "{{tenant}}",
      },
    ),
    figure(
      "Error Budget Left",
      "percentunit",
      "What is left of a month's errors, at the rate of the last three days.",
      {
        expr: `1 - (${failing("3d")}) / ${budget}`,
        legend: "{{tenant}}",
      },
    ),
    lines(
      "Burn Rate",
      "short",
      "How many times faster than a month's budget allows; 14.4 wakes somebody.",
      { expr: `(${failing("1h")}) / ${budget}`, legend: "{{tenant}} 1h" },
      { expr: `(${failing("6h")}) / ${budget}`, legend: "{{tenant}} 6h" },
    ),
    lines("Requests", "reqps", "Requests a second by what became of them.", {
      expr: `sum by (tenant, plane, outcome) (rate(tokenshield_requests_total[${window}]))`,
      legend: "{{tenant}} {{plane}} {{outcome}}",
    }),
    lines("Latency (p95)", "s", "The 95th percentile, with the merchant's application on the plane http.", {
      expr: `histogram_quantile(0.95, sum by (tenant, plane, le) (rate(tokenshield_request_duration_seconds_bucket[${window}])))`,
      legend: "{{tenant}} {{plane}}",
    }),
    figure("Targets Down", "short", "What Prometheus can't read.", {
      expr: "count by (job) (up == 0)",
      legend: "{{job}}",
    }),
    lines("Series", "short", "Series that each kind of target serves.", {
      expr: "sum by (tenant, job) (scrape_samples_post_metric_relabeling)",
      legend: "{{tenant}} {{job}}",
    }),
  ],
};

const tokenization: DashboardPlan = {
  uid: "tokenshield-tokenization",
  title: "TokenShield Tokenization",
  panels: [
    lines("Card Numbers Replaced", "reqps", "Card numbers to be replaced, by where they came from.", {
      expr: `sum by (tenant, source) (rate(tokenshield_tokenizations_total[${window}]))`,
      legend: "{{tenant}} {{source}}",
    }),
    lines("Card Numbers Refused", "reqps", "Card numbers that could not be replaced.", {
      expr: `sum by (tenant, source) (rate(tokenshield_tokenizations_failed_total[${window}]))`,
      legend: "{{tenant}} {{source}}",
    }),
    lines("Tokens Turned Back", "reqps", "Tokens asked for, by whether there was a card.", {
      expr: `sum by (tenant, source, outcome) (rate(tokenshield_tokens_revealed_total[${window}]))`,
      legend: "{{tenant}} {{source}} {{outcome}}",
    }),
    lines("Traffic Refused", "reqps", "Requests that were refused so that no card number passes.", {
      expr: `sum by (tenant, reason) (rate(tokenshield_refused_total[${window}]))`,
      legend: "{{tenant}} {{reason}}",
    }),
    figure("Active Tokens", "short", "Tokens that are not revoked.", {
      expr: "max by (tenant) (tokenshield_active_tokens)",
      legend: "{{tenant}}",
    }),
    lines("ICAP Connections", "short", "Open connections of the egress proxy.", {
      expr: "sum by (tenant) (tokenshield_icap_connections)",
      legend: "{{tenant}}",
    }),
    lines("Database Connections", "short", "Connections of the tokenizers by state.", {
      expr: "sum by (tenant, state) (tokenshield_db_connections)",
      legend: "{{tenant}} {{state}}",
    }),
    lines("Credentials Refused", "reqps", "Credentials that the management API refused.", {
      expr: `sum by (tenant, kind) (rate(tokenshield_auth_failures_total[${window}]))`,
      legend: "{{tenant}} {{kind}}",
    }),
    figure("Dependencies", "short", "1 where the dependency answers every tokenizer.", {
      expr: "min by (tenant, dependency) (tokenshield_dependency_up)",
      legend: "{{tenant}} {{dependency}}",
    }),
  ],
};

const database: DashboardPlan = {
  uid: "tokenshield-database",
  title: "TokenShield Database",
  panels: [
    figure("Primaries", "short", "Members that take writes: one.", {
      expr: 'sum by (tenant) (mysql_agent_member_role{role="primary"})',
      legend: "{{tenant}}",
    }),
    figure("Members Online", "short", "As the member sees it that sees most.", {
      expr: "max by (tenant) (mysql_agent_members_online)",
      legend: "{{tenant}}",
    }),
    figure("Quorum", "short", "1 for each member that reaches most of its group.", {
      expr: "mysql_agent_quorum",
      legend: "{{tenant}} {{pod}}",
    }),
    lines("Lag", "s", "How far members are behind the primary.", {
      expr: "max by (tenant, pod) (mysql_agent_apply_lag_seconds)",
      legend: "{{tenant}} {{pod}}",
    }),
    lines("Transactions Waiting", "short", "Transactions that wait to be applied.", {
      expr: "max by (tenant, pod) (mysql_agent_apply_queue)",
      legend: "{{tenant}} {{pod}}",
    }),
    figure("Age of the Last Backup", "s", "Since the last backup that the histories in the database have.", {
      expr: "time() - max by (tenant) (mysql_agent_backup_last_success_timestamp_seconds > 0)",
      legend: "{{tenant}}",
    }),
    lines("Flow Control", "percentunit", "Share of the time in which writes were held back.", {
      expr: `sum by (tenant, pod) (rate(mysql_agent_flow_control_seconds_total[${window}]))`,
      legend: "{{tenant}} {{pod}}",
    }),
  ],
};

const proxies: DashboardPlan = {
  uid: "tokenshield-proxies",
  title: "TokenShield Proxies",
  panels: [
    lines("Answers", "reqps", "Answers from behind the proxies by their code.", {
      expr: `sum by (tenant, job, code) (rate(haproxy_backend_http_responses_total{proxy=~"tokenizer|squid"}[${window}]))`,
      legend: "{{tenant}} {{job}} {{code}}",
    }),
    lines("Connections", "percentunit", "Share of the connections that a proxy may hold.", {
      expr:
        "max by (tenant, job, pod, proxy) (haproxy_frontend_current_sessions)" +
        " / max by (tenant, job, pod, proxy) (haproxy_frontend_limit_sessions)",
      legend: "{{tenant}} {{pod}} {{proxy}}",
    }),
    figure("Servers", "short", "Servers behind each proxy: one.", {
      expr: 'min by (tenant, job, proxy) (haproxy_backend_active_servers{proxy=~"tokenizer|squid"})',
      legend: "{{tenant}} {{job}}",
    }),
  ],
};

const rotation: DashboardPlan = {
  uid: "tokenshield-rotation",
  title: "TokenShield Rotation",
  panels: [
    lines("Age of Secrets", "s", "Age of the values in use, by rotation class.", {
      expr: "time() - max by (tenant_id, class) (rotation_last_success_timestamp_seconds)",
      legend: "{{tenant_id}} {{class}}",
    }),
    figure("Next Due", "s", "Time until the policy wants the next value; below zero it is late.", {
      expr: "min by (tenant_id, class) (rotation_next_due_timestamp_seconds) - time()",
      legend: "{{tenant_id}} {{class}}",
    }),
    figure("Phase", "short", "The phase of the generation begun last: closed, or where it is.", {
      expr: "max by (tenant_id, class, phase) (rotation_phase) == 1",
      legend: "{{tenant_id}} {{class}} {{phase}}",
    }),
    lines("Generation", "short", "The highest generation that was begun.", {
      expr: "max by (tenant_id, class) (rotation_generation)",
      legend: "{{tenant_id}} {{class}}",
    }),
    lines("Failed Attempts", "short", "Failures of a rotation's steps in a row; 0 once one succeeds.", {
      expr: "max by (tenant_id, class) (rotation_failed_attempts)",
      legend: "{{tenant_id}} {{class}}",
    }),
    figure("Ledgers Read", "short", "1 where the ledger could be read the last time.", {
      expr: "min by (tenant_id, class) (rotation_ledger_read_success)",
      legend: "{{tenant_id}} {{class}}",
    }),
    lines("Age of Keys", "s", "Age of the active keys.", {
      expr: "max by (tenant, type) (tokenshield_key_age_seconds)",
      legend: "{{tenant}} {{type}}",
    }),
    lines("Uses of the Data Key", "reqps", "Encryptions a second; a key has 4.3 billion.", {
      expr: "sum by (tenant) (rate(tokenshield_dek_uses_total[1h]))",
      legend: "{{tenant}}",
    }),
    lines("Rotations of Keys", "short", "Rotations of a day by their end.", {
      expr: "sum by (tenant, type, result) (increase(tokenshield_key_rotations_total[1d]))",
      legend: "{{tenant}} {{type}} {{result}}",
    }),
    lines("Secrets Taken Up", "short", "Changed secrets of a day by whether parts took them up.", {
      expr: "sum by (tenant_id, secret_key, result) (increase(secret_rotation_total[1d]))",
      legend: "{{tenant_id}} {{secret_key}} {{result}}",
    }),
    lines("Errors of Mounts", "short", "Rounds of an hour in which mounted secrets could not be read anew.", {
      expr: "sum by (provider, error_type) (increase(rotation_reconcile_error_total[1h]))",
      legend: "{{provider}} {{error_type}}",
    }),
    figure("Certificate Life Left", "s", "Time that the first certificate to end has left.", {
      expr: "min by (tenant) (tokenshield_certificate_expiry_timestamp_seconds > 0) - time()",
      legend: "{{tenant}}",
    }),
  ],
};

/** Every dashboard of the platform. */
export const dashboards: readonly DashboardPlan[] = [overview, tokenization, database, proxies, rotation, secrets];
