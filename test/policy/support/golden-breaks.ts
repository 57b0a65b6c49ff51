import { templateKinds } from "../../../policy/src/model/pod-template.ts";
import type { Resource } from "../../../policy/src/model/resource.ts";
import { type Break, changed, nothing, remove, set } from "./break.ts";
import { everyPod, lists, podBreak, type PodBreak, variables } from "./pod-breaks.ts";
import { goldenStack } from "./reference.ts";

type Key = string | number;

const plan = goldenStack("production").resources;
const stack = "pulumi:pulumi:Stack::tokenshield-production";
const tenant = "acme";
const keyOf = ({ type, name }: Resource): string => `${type}::${name}`;

/** The resource of a plan whose type and name end like this. */
function golden(end: string): Resource {
  const found = plan.filter((one) => keyOf(one).endsWith(end));
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${end}: expected one resource, found ${found.length}`);
  return only;
}

const below = (value: unknown, path: readonly Key[]): unknown =>
  path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? (at as Record<Key, unknown>)[key] : undefined),
    value,
  );
const listAt = (value: unknown, path: readonly Key[]): readonly unknown[] => {
  const list = below(value, path);
  return Array.isArray(list) ? list : [];
};

/** Where the spec of the pods of a kind lies. */
const specOf = (type: string): readonly Key[] =>
  type.endsWith(":CronJob") ? ["spec", "jobTemplate", "spec", "template", "spec"] : ["spec", "template", "spec"];

/** Whether a pod is asked by its first container alone, so that it is asked no more without that one's probe. */
function asksFirst(spec: unknown): boolean {
  const probes = listAt(spec, ["containers"]).map((container) => below(container, ["readinessProbe"]));
  return probes[0] !== undefined && probes.slice(1).every((probe) => probe === undefined);
}

/** A break of `everyPod` for a pod whose lists have other lengths; undefined where it has no such container. */
function fitted(one: PodBreak, spec: unknown): PodBreak | undefined {
  const [list, , field, index] = one.path;
  if (one.rule === "pods-have-a-readiness-probe" && !asksFirst(spec)) return undefined;
  if (list === "volumes") {
    const last = listAt(spec, ["volumes"]).length;
    const place = (path: readonly Key[]): readonly Key[] =>
      path.map((key, at) => (at === 1 && typeof key === "number" ? Math.min(key, last) : key));
    return { ...one, path: place(one.path), ...(one.at === undefined ? {} : { at: place(one.at) }) };
  }
  if (!lists.some((name) => name === list)) return one;
  if (list === undefined || listAt(spec, [list]).length === 0) return undefined;
  if (field !== "env" || one.path.length < 5 || typeof index !== "number") return one;
  const name = variables[index];
  const own = listAt(spec, [list, 0, "env"]);
  const found = own.findIndex((variable) => below(variable, ["name"]) === name);
  if (found >= 0) return { ...one, path: [list, 0, "env", found, "value"] };
  const path = [list, 0, "env", own.length];
  return { ...one, path, to: { name, value: one.to }, at: [...path, "value"], conceal: "never" };
}

/** The breaks of each pod that the tenant's workloads make. */
const workloads = plan.filter(({ type, name }) => templateKinds.includes(type) && name.startsWith(`${tenant}-`));
const pods = workloads.flatMap((workload) => {
  const path = specOf(workload.type);
  return everyPod
    .filter(({ kinds }) => kinds === undefined || kinds.test(workload.type))
    .flatMap((one) => fitted(one, below(workload.props, path)) ?? [])
    .map((one) => podBreak(keyOf(workload), path, one));
});

const served = workloads.filter(({ type }) => /:(Deployment|StatefulSet)$/.test(type));
/** The workload of a part, of whatever kind. */
function workloadOf(part: string): string {
  const found = served.find(({ name }) => name === `${tenant}-${part}`);
  if (found === undefined) throw new Error(`${tenant} has no workload ${part}`);
  return keyOf(found);
}

/** A single pod needs no budget, and has nothing to be spread from. */
const replicated = served.filter(({ props }) => below(props, ["spec", "replicas"]) !== 1);
const availability = replicated.flatMap((workload) => {
  const on = keyOf(workload);
  const budget = keyOf(golden(`:PodDisruptionBudget::${workload.name}`));
  return [
    remove("workloads-survive-a-drain", budget, on, "", /must have a PodDisruptionBudget/),
    set("workloads-survive-a-drain", budget, ["spec", "maxUnavailable"], "100%", /must leave some pods/),
    set("replicas-are-spread", on, [...specOf(workload.type), "topologySpreadConstraints"], nothing, /must be set/),
  ];
});

const autoscaler = golden(`:HorizontalPodAutoscaler::${tenant}-tokenizer`);
const scaled = workloadOf("tokenizer");
const autoscaling: readonly Break[] = [
  set("autoscalers-keep-replicas", keyOf(autoscaler), ["spec", "minReplicas"], 1, /at least 2/),
  set("autoscalers-keep-replicas", keyOf(autoscaler), ["spec", "minReplicas"], nothing, /at least 2/),
  set("autoscalers-keep-replicas", keyOf(autoscaler), ["spec", "scaleTargetRef", "name"], "shop", /of this stack/),
  set("autoscalers-keep-replicas", scaled, ["spec", "replicas"], 2, /the autoscaler decides/, {
    conceal: "never",
  }),
];

const serviceOf = (part: string): string => keyOf(golden(`core/v1:Service::${tenant}-${part}`));
const configOf = (part: string): string => keyOf(golden(`:ConfigMap::${tenant}-${part}`));
const swapped = (from: string | RegExp, to: string) => (old: unknown) => {
  const text = String(old).replace(from, to);
  if (text === old) throw new Error(`there is no ${String(from)} to replace`);
  return text;
};
const appended = (line: string) => (old: unknown) => `${String(old)}\n${line}\n`;
const inFile = (
  rule: string,
  [part, file]: readonly [part: string, file: string],
  change: (old: unknown) => unknown,
  says: RegExp,
): Break => set(rule, configOf(part), ["data", file], change, says);

const inbound = ["inbound", "haproxy.cfg"] as const;
const door = ["outbound", "door.cfg"] as const;
const squid = ["outbound", "squid.conf"] as const;
const proxies: readonly Break[] = [
  ...[inbound, door].flatMap((file) => [
    inFile("configs-use-modern-tls", file, swapped("ssl-min-ver TLSv1.2", "ssl-min-ver TLSv1.1"), /TLS before 1.2/),
    inFile("configs-use-modern-tls", file, swapped(/ssl-min-ver TLSv1\.\d/g, ""), /must set ssl-min-ver/),
    inFile("configs-use-modern-tls", file, appended("  ssl-default-bind-ciphers RC4-SHA"), /weak cipher/),
    inFile("card-traffic-is-encrypted", file, swapped(/bind :(\d+) ssl crt \S+/, "bind :$1"), /ssl on every bind line/),
    inFile("proxies-are-minimal", file, appended("  stats admin if TRUE"), /statistics page change/),
    inFile("proxies-are-minimal", file, swapped("ipv4@127.0.0.1:9999", "ipv4@0.0.0.0:9999"), /admin socket/),
    inFile("card-data-is-not-logged", file, appended("  log-format '%[req.body]'"), /bodies or credentials/),
  ]),
  inFile("configs-use-modern-tls", inbound, swapped("verify required", "verify none"), /must verify certificates/),
  inFile("card-traffic-is-encrypted", inbound, swapped(/ ssl verify required.*/, ""), /ssl on every server line/),
  inFile("card-traffic-is-encrypted", door, swapped("unless METH_CONNECT listed", "unless listed"), /deny all but/),
  inFile("card-traffic-is-encrypted", door, swapped("squid 127.0.0.1", "squid squid.shop.svc"), /every server line/),
  inFile("card-traffic-is-encrypted", squid, swapped("icaps:", "icap:"), /must use icaps/),
  inFile("card-traffic-is-encrypted", squid, swapped("bypass=off", "bypass=on"), /must not bypass ICAP/),
  inFile("card-traffic-is-encrypted", squid, swapped(" ssl-bump", ""), /https_port, or ssl-bump/),
  inFile("configs-use-modern-tls", squid, swapped("tls-min-version=1.2", "tls-min-version=1.0"), /TLS before 1.2/),
  inFile("configs-use-modern-tls", squid, swapped("options min-version=1.2", "options min-version=1.1"), /before 1.2/),
  inFile("configs-use-modern-tls", squid, swapped("cert_error deny", "cert_error allow"), /must verify certificates/),
  inFile("proxies-are-minimal", squid, swapped("ALL,1", "ALL,9"), /debug mode/),
  inFile("proxies-are-minimal", squid, appended("http_access allow all"), /every request/),
  inFile("proxies-are-minimal", squid, appended("cache_dir ufs /var/spool/squid 100 16 256"), /on disk/),
  inFile("card-data-is-not-logged", squid, swapped("%>Hs", "%{Authorization}>h"), /bodies or credentials/),
  set("configs-hold-no-secrets", configOf("inbound"), ["data", "password"], "hunter2", /a secret by its name/),
];

const outside = (part: string): Break[] =>
  ["LoadBalancer", "NodePort"].map((type) =>
    set("services-stay-inside", serviceOf(part), ["spec", "type"], type, /must be ClusterIP/),
  );

const prometheusRole = keyOf(golden(`v1:Role::monitoring-${tenant}-pods`));
const prometheusBinding = keyOf(golden(`v1:RoleBinding::monitoring-${tenant}-pods`));
const access: readonly Break[] = [
  set(
    "tokens-are-short-lived",
    keyOf(golden("core/v1:Secret::monitoring-alertmanager")),
    ["type"],
    "kubernetes.io/service-account-token",
    /must not be a token/,
  ),
  ...outside("outbound"),
  ...outside("tokenizer"),
  // The inbound proxy may have a load balancer, which then must be filtered.
  set("public-frontends-are-filtered", serviceOf("inbound"), ["spec", "type"], "LoadBalancer", /the filter/, {
    at: ["metadata", "annotations"],
    conceal: "never",
  }),
  set(
    "accounts-are-not-shared",
    workloadOf("inbound"),
    ["spec", "template", "spec", "serviceAccountName"],
    "tokenshield-outbound",
    /must not be the account of/,
  ),
  ...["verbs", "resources", "apiGroups"].map((field) =>
    set("roles-name-their-rights", prometheusRole, ["rules", 0, field, 0], "*", /stand for all/),
  ),
  set("roles-cannot-escalate", prometheusRole, ["rules", 0, "resources", 0], "pods/exec", /must not be there/),
  set("roles-cannot-escalate", prometheusRole, ["rules", 0, "verbs", 0], "impersonate", /must not be there/),
  set("roles-name-their-secrets", prometheusRole, ["rules", 0, "resources", 0], "secrets", /must name each/, {
    at: ["rules", 0, "resourceNames"],
  }),
  set("bindings-name-their-subjects", prometheusBinding, ["subjects", 0, "name"], "default", /must not be default/),
  set("bindings-name-their-subjects", prometheusBinding, ["roleRef", "name"], "cluster-admin", /cluster-admin/),
];

const cluster = keyOf(golden(`rds/cluster:Cluster::${tenant}-database`));
const instance = keyOf(golden(`:ClusterInstance::${tenant}-database-0`));
const parameters = keyOf(golden(`:ClusterParameterGroup::${tenant}-database`));
const database: readonly Break[] = [
  set("databases-are-audited", cluster, ["enabledCloudwatchLogsExports"], ["error"], /must contain audit/),
  set("databases-are-audited", parameters, ["parameters", 2, "value"], "0", /must set server_audit_logging to 1/),
  set("databases-are-audited", parameters, ["parameters", 3, "value"], "CONNECT", /QUERY_DCL, QUERY_DDL/),
  set("databases-are-audited", parameters, ["parameters", 3, "value"], "CONNECT,QUERY_DCL,QUERY_DDL,QUERY", /values/),
  set("cloud-databases-are-private", cluster, ["storageEncrypted"], false, /must be true/),
  set("cloud-databases-are-private", cluster, ["deletionProtection"], false, /must be true/),
  set("cloud-databases-are-private", cluster, ["masterPassword"], "hunter2", /lie in the state/),
  set("cloud-databases-are-private", cluster, ["backupRetentionPeriod"], 1, /at least 7/),
  set("cloud-databases-are-private", cluster, ["skipFinalSnapshot"], true, /must not be true/),
  set("cloud-databases-are-private", instance, ["publiclyAccessible"], true, /must not be true/),
  set("databases-require-tls", parameters, ["parameters", 0, "value"], "OFF", /require_secure_transport/),
];

const secret = keyOf(golden(`:SecretV2::${tenant}-api-cli`));
const classes: readonly Break[] = [secret, keyOf(golden(`:RandomPassword::${tenant}-api-cli-api-key-1`))].map((on) => ({
  rule: "secrets-have-a-rotation-class",
  how: `${on} is taken out of its class`,
  on,
  at: "",
  says: /must be below a tokenshield:secrets:SecretClass/,
  apply: (whole) => changed(whole, on, (one) => ({ ...one, parent: "" })),
}));

const rotator = keyOf(golden(`:CronJob::${tenant}-rotator`));
const rotation: readonly Break[] = [
  remove("rotations-are-carried-out", rotator, `tokenshield:index:TokenShield::${tenant}`, "", /must have a CronJob/),
  set("rotations-are-carried-out", rotator, ["spec", "suspend"], true, /must not be true/),
  set("rotations-are-carried-out", rotator, ["spec", "concurrencyPolicy"], "Allow", /must be Forbid/),
  set("rotations-are-carried-out", rotator, ["spec", "schedule"], "0 3 * * 0", /at least once an hour/),
];

const alerts = golden(":PrometheusRule::monitoring-alerts");
const scrape = keyOf(golden(`:PodMonitor::monitoring-${tenant}-tokenizer`));
const annotations = ["spec", "groups", 0, "rules", 0, "annotations"];
const tlsConfig = ["spec", "podMetricsEndpoints", 0, "tlsConfig"];
/** The controls that one alert alone stands for, each with the path of its label. */
const guarded = listAt(alerts.props, ["spec", "groups"])
  .flatMap((group, at) =>
    listAt(group, ["rules"]).map((rule, index) => ({
      control: below(rule, ["labels", "control"]),
      path: ["spec", "groups", at, "rules", index, "labels", "control"],
    })),
  )
  .filter(({ control }, _, all) => all.filter((other) => other.control === control).length === 1);
const monitoring: readonly Break[] = [
  ...guarded.map(({ control, path }) =>
    set("controls-raise-alerts", keyOf(alerts), path, "none", /must raise an alert for/, {
      on: stack,
      at: String(control),
    }),
  ),
  set(
    "alerts-have-runbooks",
    keyOf(alerts),
    ["spec", "groups", 0, "rules", 0, "labels", "severity"],
    "page",
    /critical/,
  ),
  ...["runbook_url", "summary"].map((name) =>
    set("alerts-have-runbooks", keyOf(alerts), [...annotations, name], nothing, /must be set/),
  ),
  set("scrapes-verify-tls", scrape, ["spec", "podMetricsEndpoints", 0, "scheme"], "http", /must be https/),
  set("scrapes-verify-tls", scrape, [...tlsConfig, "insecureSkipVerify"], true, /must not be true/),
];

/** Breaks of what production's plan itself holds of the platform's parts. */
export const goldenBreaks: readonly Break[] = [
  ...pods,
  ...availability,
  ...autoscaling,
  ...proxies,
  ...access,
  ...database,
  ...classes,
  ...rotation,
  ...monitoring,
];
