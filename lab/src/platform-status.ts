import { attempt } from "./command.ts";
import { LabError } from "./errors.ts";
import { layout, type Layout, paths } from "./layout.ts";
import { labProgram } from "./programs.ts";

const help = `usage: npm run status

How the platform on the embedded cluster does, as its Prometheus knows it: targets, alerts, rates, latencies, the
database's roles, ages of keys and secrets, and when the next are due. Ends with 0 if every target is up and no critical
alert fires, and with 3 if not.
`;

/** One line of figures: a query, and how its values are written. */
export interface Figure {
  readonly title: string;
  readonly query: string;
  /** Labels that tell the values of a line apart. */
  readonly by: readonly string[];
  readonly write: (value: number) => string;
}

const number = (digits: number) => (value: number) => value.toFixed(digits);
const perSecond = (value: number): string => `${value.toFixed(2)}/s`;
const milliseconds = (value: number): string => `${(value * 1000).toFixed(1)} ms`;
const days = (value: number): string => `${(value / 86_400).toFixed(1)} d`;
const minutes = (value: number): string => `${(value / 60).toFixed(0)} min`;

/** The figures, in the order in which they are shown. */
export const figures: readonly Figure[] = [
  { title: "targets up", query: "sum by (job) (up)", by: ["job"], write: number(0) },
  { title: "targets down", query: "count by (job) (up == 0)", by: ["job"], write: number(0) },
  {
    title: "series",
    query: "sum by (tenant) (scrape_samples_post_metric_relabeling)",
    by: ["tenant"],
    write: number(0),
  },
  {
    title: "requests",
    query: "sum by (tenant, plane) (rate(tokenshield_requests_total[5m]))",
    by: ["tenant", "plane"],
    write: perSecond,
  },
  {
    title: "refused",
    query: "sum by (tenant, reason) (rate(tokenshield_refused_total[5m])) > 0",
    by: ["tenant", "reason"],
    write: perSecond,
  },
  {
    title: "p95",
    query:
      "histogram_quantile(0.95, sum by (tenant, plane, le) (rate(tokenshield_request_duration_seconds_bucket[5m]))) >= 0",
    by: ["tenant", "plane"],
    write: milliseconds,
  },
  {
    title: "database role",
    query: "mysql_agent_member_role == 1",
    by: ["tenant", "pod", "role"],
    write: () => "",
  },
  { title: "database lag", query: "mysql_agent_apply_lag_seconds", by: ["tenant", "pod"], write: milliseconds },
  {
    title: "key age",
    query: "max by (tenant, type) (tokenshield_key_age_seconds)",
    by: ["tenant", "type"],
    write: days,
  },
  {
    title: "secret age",
    query: "time() - max by (tenant_id, class) (rotation_last_success_timestamp_seconds)",
    by: ["tenant_id", "class"],
    write: days,
  },
  {
    title: "next due in",
    query: "min by (tenant_id, class) (rotation_next_due_timestamp_seconds) - time()",
    by: ["tenant_id", "class"],
    write: days,
  },
  {
    title: "certificate left",
    query: "min by (tenant) (tokenshield_certificate_expiry_timestamp_seconds > 0) - time()",
    by: ["tenant"],
    write: minutes,
  },
];

/** A value of a query with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** An alert that fires. */
export interface FiringAlert {
  readonly name: string;
  readonly severity: string;
  readonly summary: string;
}

/** The whole of what is shown. */
export interface Health {
  readonly samples: readonly (readonly [figure: Figure, samples: readonly Sample[]])[];
  readonly alerts: readonly FiringAlert[];
}

/** The status as text, with a line for each value and each alert. */
export function renderHealth({ samples, alerts }: Health): string {
  const lines = samples.flatMap(([{ title, by, write }, values]) =>
    values
      .map(({ labels, value }) => `${by.map((label) => labels[label] ?? "").join(" ")}  ${write(value)}`.trimEnd())
      .sort()
      .map((text, index) => `${(index === 0 ? title : "").padEnd(18)}${text}`),
  );
  const firing = alerts.map(({ name, severity, summary }) => `${severity.padEnd(10)}${name}: ${summary}`).sort();
  return [...lines, "", ...(firing.length === 0 ? ["no alert fires"] : ["alerts", ...firing]), ""].join("\n");
}

/** Whether every target is up and no critical alert fires. */
export function isHealthy({ samples, alerts }: Health): boolean {
  const down = samples.some(([{ title }, values]) => title === "targets down" && values.length > 0);
  return !down && alerts.every(({ severity }) => severity !== "critical");
}

/** @throws LabError NOT_RUNNING if there is no Prometheus that answers */
async function health(at: Layout): Promise<Health> {
  const kubectl = [await labProgram(at, "kube"), "kubectl", `--kubeconfig=${paths.cloneKubeconfig(at)}`];
  const pod = ["get", "pod", "prometheus-tokenshield-0", "--namespace", "monitoring"];
  const found = await attempt([...kubectl, ...pod, "--output", "jsonpath={.status.podIP}"], { timeout: 10_000 });
  if (found.status !== 0 || found.stdout === "") {
    throw new LabError("NOT_RUNNING", "The lab has no Prometheus. Bring the platform up: npm run up");
  }
  const base = `http://${found.stdout}:9090/api/v1`;
  const samples = await Promise.all(figures.map(async (figure) => [figure, await asked(base, figure.query)] as const));
  const { alerts } = (await fetched(`${base}/alerts`)) as {
    readonly alerts: readonly {
      readonly state: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  };
  const firing = alerts.filter(({ state }) => state === "firing");
  return {
    samples,
    alerts: firing.map(({ labels, annotations }) => ({
      name: labels["alertname"] ?? "",
      severity: labels["severity"] ?? "",
      summary: annotations["summary"] ?? "",
    })),
  };
}

async function asked(base: string, query: string): Promise<readonly Sample[]> {
  const { result } = (await fetched(`${base}/query?${new URLSearchParams({ query }).toString()}`)) as {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
  };
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

async function fetched(url: string): Promise<unknown> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    const { data } = (await answer.json()) as { readonly data?: unknown };
    if (!answer.ok || data === undefined) throw new Error(`it answered ${answer.status}`);
    return data;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LabError(
      "NOT_RUNNING",
      `Prometheus doesn't answer (${why}). See: npm run lab -- kubectl -n monitoring get pods`,
      {
        cause,
      },
    );
  }
}

async function main(words: readonly string[]): Promise<number> {
  if (words.length > 0) {
    process.stdout.write(help);
    return words[0] === "--help" ? 0 : 2;
  }
  const seen = await health(layout());
  process.stdout.write(renderHealth(seen));
  return isHealthy(seen) ? 0 : 3;
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
