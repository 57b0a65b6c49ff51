/** How bad an alert is: `critical` wakes somebody, `warning` is for working hours, `info` is for the next review. */
export const severities = ["critical", "warning", "info"] as const;

/** One of `severities`. */
export type Severity = (typeof severities)[number];

/** A control of PCI DSS whose failure an alert tells (10.7.2); the policy pack asks for one alert a control. */
export type Control = "audit" | "secret-rotation" | "certificate-renewal" | "card-reveals" | "logins" | "backup";

/** What Prometheus scrapes of a tenant, by the part that serves it. */
export const tenantJobs = ["tokenizer", "database", "inbound", "outbound", "ledgers"] as const;

/** One of `tenantJobs`; the label `job` of its series. */
export type TenantJob = (typeof tenantJobs)[number];

/** What Prometheus scrapes of the cluster. `secret-provider` is Vault. */
export const clusterJobs = [
  "prometheus",
  "alertmanager",
  "prometheus-operator",
  "secret-provider",
  "csi-driver",
  "apiserver",
] as const;

/** One of `clusterJobs`; the label `job` of its series. */
export type ClusterJob = (typeof clusterJobs)[number];

/** A tenant as the alerts know it. */
export interface MonitoredTenant {
  readonly name: string;
  /** What is scraped of it. Where a job's target is gone, only these names tell that it should be there. */
  readonly jobs: readonly TenantJob[];
  /** Members of its database group; 0 without one. */
  readonly members: number;
  /** Hours after which the last backup of that group is too old. Absent: none is wanted, or somebody else's tells. */
  readonly backupHours?: number | undefined;
}

/** What the alerts depend on. */
export interface AlertContext {
  readonly tenants: readonly MonitoredTenant[];
  /** What is scraped of the cluster. */
  readonly jobs: readonly ClusterJob[];
  /** Life of a certificate, in minutes. */
  readonly leafMinutes: number;
  /** Longest age of an encryption key, in days. */
  readonly keyDays: number;
  /** How long two values of a rotation class are both valid, in hours. */
  readonly graceHours: Readonly<Record<"api" | "database" | "encryption" | "jwt", number>>;
  /** How long applications have to load the bundle with the next egress authority, in hours. */
  readonly trustHours: number;
  /** Share of `for` that alerts wait: 1, and less for drills alone. */
  readonly patience: number;
}

/** Made-up series and what the alert does about them; `promtool test rules` runs each. */
export interface AlertCase {
  /** What happens, in words. */
  readonly story: string;
  /** Values by series, in promtool's notation: `0+6x60` is 0, 6, 12 … one a minute. */
  readonly series: Readonly<Record<string, string>>;
  /** How long it goes, from the start: `20m`. One that fires does so at the end; one that doesn't never did. */
  readonly at: string;
  /** Time between two values, and between two evaluations. Default `1m`. */
  readonly every?: string;
}

/** A case in which the alert fires. */
export interface FiringCase extends AlertCase {
  /** The labels of what fires, those of the rule aside. */
  readonly labels: Readonly<Record<string, string>>;
}

/** One alert. Its name is a contract with the runbook of the same name. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  readonly control?: Control;
  /**
   * The condition in PromQL; several are joined by `or`. None: nothing of what it watches is there, and so it isn't
   * either.
   */
  readonly when: string | ((context: AlertContext) => readonly string[]);
  /** How long the condition holds before it fires: `5m`; `0m` for at once. */
  readonly for: string;
  /** One line for a pager; `{{ $labels.x }}` and `{{ $value }}` as Prometheus fills them in. */
  readonly summary: string;
  /** What it means for the platform. */
  readonly description: string;
  readonly fires: FiringCase;
  /** Further cases in which it fires, by other conditions. */
  readonly firesToo?: readonly FiringCase[];
  readonly stays: AlertCase;
}

/** A group of alerts that are evaluated together. */
export interface AlertGroup {
  readonly name: string;
  readonly alerts: readonly Alert[];
}

/** @returns one condition for each tenant that is scraped for a job */
export function eachTenant(job: TenantJob, condition: (tenant: MonitoredTenant) => string) {
  return ({ tenants }: AlertContext): readonly string[] =>
    tenants.filter(({ jobs }) => jobs.includes(job)).map((tenant) => condition(tenant));
}

/** The condition of an alert; undefined where nothing of what it watches is there. */
export function conditionOf({ when }: Alert, context: AlertContext): string | undefined {
  const conditions = typeof when === "string" ? [when] : when(context);
  if (conditions.length === 0) return undefined;
  return conditions.length === 1 ? conditions[0] : conditions.map((one) => `(${one})`).join("\nor ");
}

/**
 * A part of a time in Prometheus' notation.
 * @param time whole seconds, minutes or hours: `30s`, `5m`, `1h`
 * @returns the time itself for 1, else whole seconds, rounded up
 */
export function shareOfTime(time: string, share: number): string {
  if (share === 1) return time;
  const [, count = "", unit = ""] = /^(\d+)([smh])$/.exec(time) ?? [];
  const seconds = Number(count) * (unit === "h" ? 3600 : unit === "m" ? 60 : 1);
  if (unit === "") throw new Error(`expected a time such as 5m, given ${time}`);
  return `${Math.ceil(seconds * share)}s`;
}
