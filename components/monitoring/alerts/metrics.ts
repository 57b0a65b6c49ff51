/** Who serves a metric. */
export type Exporter =
  | "tokenizer"
  | "rotator"
  | "mysql-agent"
  | "haproxy"
  | "squid-exporter"
  | "vault"
  | "csi-driver"
  | "apiserver"
  | "prometheus"
  | "alertmanager"
  /** Prometheus itself, for each target. */
  | "scrape";

/** A metric as alerts and panels use it. */
export interface Metric {
  readonly exporter: Exporter;
  /** Labels of its own, without those that Prometheus gives a target (`targetLabels`). */
  readonly labels: readonly string[];
}

/** Labels that every series of a target has, where they make sense: tenants only where a tenant serves it. */
export const targetLabels = ["job", "instance", "namespace", "pod", "tenant"] as const;

const of = (exporter: Exporter, ...labels: readonly string[]): Metric => ({ exporter, labels });
const secret = (...labels: readonly string[]): Metric => of("tokenizer", "tenant_id", ...labels);
const ledger = (...labels: readonly string[]): Metric => of("rotator", "tenant_id", "class", ...labels);

/**
 * Every metric that an alert or a panel names: who serves it, with which labels. What isn't in it, none may use; a test
 * holds it against what the services really serve.
 */
export const metrics = {
  secret_access_total: secret("secret_key", "provider", "result"),
  secret_access_errors_total: secret("secret_key", "provider", "error_type"),
  secret_access_latency_seconds_bucket: secret("provider", "cached", "le"),
  secret_cache_hits_total: secret("provider"),
  secret_cache_misses_total: secret("provider"),
  secret_cache_size: of("tokenizer", "provider"),
  secret_rotation_jobs_active: of("tokenizer"),
  secret_rotation_total: secret("secret_key", "result"),
  secret_rotation_errors_total: secret("secret_key", "error_type"),
  secret_rotation_duration_seconds_bucket: secret("secret_key", "le"),
  secret_rotation_duration_seconds_count: secret("secret_key"),
  secrets_watched: of("tokenizer"),
  secret_beside_accepted: of("tokenizer", "tenant_id", "secret_group", "digest"),
  tokenshield_requests_total: of("tokenizer", "plane", "operation", "outcome"),
  tokenshield_request_duration_seconds_bucket: of("tokenizer", "plane", "operation", "le"),
  tokenshield_request_duration_seconds_count: of("tokenizer", "plane", "operation"),
  tokenshield_tokenizations_total: of("tokenizer", "source"),
  tokenshield_tokenizations_failed_total: of("tokenizer", "source"),
  tokenshield_active_tokens: of("tokenizer"),
  tokenshield_icap_connections: of("tokenizer"),
  tokenshield_refused_total: of("tokenizer", "reason"),
  tokenshield_tokens_revealed_total: of("tokenizer", "source", "outcome"),
  tokenshield_auth_failures_total: of("tokenizer", "kind"),
  tokenshield_db_connections: of("tokenizer", "state"),
  tokenshield_dependency_up: of("tokenizer", "dependency"),
  tokenshield_dek_uses_total: of("tokenizer"),
  tokenshield_key_age_seconds: of("tokenizer", "type"),
  tokenshield_key_rotations_total: of("tokenizer", "type", "result"),
  tokenshield_certificate_expiry_timestamp_seconds: of("tokenizer"),
  rotation_generation: ledger(),
  rotation_phase: ledger("phase"),
  rotation_last_success_timestamp_seconds: ledger(),
  rotation_next_due_timestamp_seconds: ledger(),
  rotation_grace_end_timestamp_seconds: ledger(),
  rotation_failed_attempts: ledger(),
  rotation_ledger_read_success: ledger(),
  rotation_ledger_read_timestamp_seconds: ledger(),
  mysql_agent_member_role: of("mysql-agent", "group", "role"),
  mysql_agent_quorum: of("mysql-agent", "group"),
  mysql_agent_members_online: of("mysql-agent", "group"),
  mysql_agent_apply_lag_seconds: of("mysql-agent", "group"),
  mysql_agent_apply_queue: of("mysql-agent", "group"),
  mysql_agent_flow_control_seconds_total: of("mysql-agent", "group"),
  mysql_agent_blocked: of("mysql-agent", "group", "by"),
  mysql_agent_backup_last_success_timestamp_seconds: of("mysql-agent", "group"),
  haproxy_backend_active_servers: of("haproxy", "proxy"),
  haproxy_backend_http_responses_total: of("haproxy", "proxy", "code"),
  haproxy_frontend_current_sessions: of("haproxy", "proxy"),
  haproxy_frontend_limit_sessions: of("haproxy", "proxy"),
  vault_core_unsealed: of("vault", "cluster"),
  vault_audit_log_request_failure: of("vault"),
  vault_audit_log_response_failure: of("vault"),
  rotation_reconcile_error_total: of("csi-driver", "os_type", "provider", "rotated", "error_type"),
  apiserver_audit_error_total: of("apiserver", "plugin"),
  prometheus_rule_evaluation_failures_total: of("prometheus", "rule_group"),
  prometheus_notifications_alertmanagers_discovered: of("prometheus"),
  alertmanager_notifications_failed_total: of("alertmanager", "integration", "reason"),
  up: of("scrape"),
  scrape_samples_post_metric_relabeling: of("scrape"),
} as const satisfies Readonly<Record<string, Metric>>;

/** A metric that alerts may use. */
export type MetricName = keyof typeof metrics;
