import { add, type Break, nothing, remove, set } from "./break.ts";
import { extra } from "./extras.ts";

const policyOf = (part: string): string => `kubernetes:networking.k8s.io/v1:NetworkPolicy::acme-network-${part}`;
const tokenizer = policyOf("tokenizer");
const dashboard = policyOf("dashboard");
const deny = policyOf("deny");
const outbound = policyOf("outbound");
const namespace = "kubernetes:core/v1:Namespace::acme";
const namespaceName = "tokenshield-production-acme";
const database = "kubernetes:core/v1:Service::ref-database";
const inbound = "kubernetes:core/v1:Service::ref-inbound";
const ingress = "kubernetes:networking.k8s.io/v1:Ingress::ref-ingress";
const route = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute::ref-route";
const roles = ["Role::ref-role", "ClusterRole::ref-clusterrole"].map(
  (name) => `kubernetes:rbac.authorization.k8s.io/v1:${name}`,
);
const bindings = [
  "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding::ref-binding",
  "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding::vault-reviewer",
];
const config = "kubernetes:core/v1:ConfigMap::ref-config";
const alerts = "kubernetes:monitoring.coreos.com/v1:PrometheusRule::ref-alerts";
const certificate = "kubernetes:cert-manager.io/v1:Certificate::ref-certificate";
const deployment = "kubernetes:apps/v1:Deployment::ref-deployment";
const statefulSet = "kubernetes:apps/v1:StatefulSet::ref-statefulset";
const chart = "kubernetes:helm.sh/v4:Chart::addons-metrics-server";
const release = "kubernetes:helm.sh/v3:Release::ref-release";
const storage = "kubernetes:storage.k8s.io/v1:StorageClass::ref-storage";
const files = "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass::acme-backup-secrets";
const scrape = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor::ref-scrape";

const network: readonly Break[] = [
  set("network-policies-name-peers", tokenizer, ["spec", "egress", 0, "to"], [], /at least one peer/),
  set("network-policies-name-peers", tokenizer, ["spec", "ingress", 0, "from"], nothing, /at least one peer/),
  set("network-policies-name-peers", tokenizer, ["spec", "ingress", 0, "from", 0], {}, /must name a peer/),
  set(
    "network-policies-name-peers",
    dashboard,
    ["spec", "ingress", 0, "from", 0, "namespaceSelector"],
    {},
    /selects all of them/,
  ),
  set("network-policies-name-peers", tokenizer, ["spec", "ingress", 0, "from", 0], { podSelector: {} }, /selects all/, {
    at: ["spec", "ingress", 0, "from", 0, "podSelector"],
  }),
  set(
    "network-policies-name-peers",
    outbound,
    ["spec", "egress", 0, "to", 0],
    { ipBlock: { cidr: "0.0.0.0/0" } },
    /metadata services/,
    { at: ["spec", "egress", 0, "to", 0, "ipBlock", "except"] },
  ),
  set("network-policies-name-ports", tokenizer, ["spec", "ingress", 0, "ports"], [], /at least one port/),
  set("network-policies-name-ports", tokenizer, ["spec", "egress", 0, "ports"], nothing, /at least one port/),
  set("network-policies-name-ports", tokenizer, ["spec", "policyTypes"], ["Ingress"], /must contain Egress/),
  set("network-policies-name-ports", tokenizer, ["spec", "egress", 0, "ports", 0, "endPort"], 65_535, /each port/),
  set("network-policies-name-ports", tokenizer, ["spec", "egress", 0, "ports", 0, "protocol"], nothing, /must be set/),
  set("network-policies-name-ports", tokenizer, ["spec", "egress", 0, "ports", 0, "port"], nothing, /must be set/),
  set(
    "dns-passes-by-both-protocols",
    dashboard,
    ["spec", "egress", 1, "ports"],
    [{ port: 53, protocol: "UDP" }],
    /by TCP, too/,
  ),
  set("flows-are-agreed-on", dashboard, ["spec", "egress", 0, "ports", 0, "port"], 3306, /in the table of flows/, {
    at: ["spec", "egress", 0, "ports", 0],
  }),
  set(
    "flows-are-agreed-on",
    dashboard,
    ["spec", "egress", 0, "to", 0, "podSelector", "matchLabels", "tokenization.io/role"],
    "database",
    /from dashboard to database/,
    { at: ["spec", "egress", 0, "ports", 0] },
  ),
  set(
    "flows-are-agreed-on",
    policyOf("backup"),
    ["spec", "ingress"],
    [{ from: [{ ipBlock: { cidr: "10.0.0.0/8" } }], ports: [{ port: 22, protocol: "TCP" }] }],
    /from addresses to backup/,
    { at: ["spec", "ingress", 0, "ports", 0] },
  ),
  set("flows-are-agreed-on", tokenizer, ["spec", "podSelector"], {}, /selects one part/, {
    at: ["spec", "ingress", 0],
    conceal: ["spec", "ingress", 0, "ports", 0, "port"],
  }),
  remove("namespaces-deny-by-default", deny, namespace, "metadata.name", /denies by default/),
  set("namespaces-deny-by-default", deny, ["spec", "policyTypes"], ["Ingress"], /denies by default/, {
    on: namespace,
    at: "metadata.name",
  }),
  set("namespaces-deny-by-default", deny, ["spec", "egress"], [{}], /denies by default/, {
    on: namespace,
    at: "metadata.name",
  }),
  set(
    "namespaces-deny-by-default",
    namespace,
    ["metadata", "name"],
    "tokenshield-production-other",
    /denies by default/,
  ),
  ...["baseline", "privileged", nothing].map((level) =>
    set(
      "namespaces-admit-restricted-pods",
      namespace,
      ["metadata", "labels", "pod-security.kubernetes.io/enforce"],
      level,
      /must be restricted/,
    ),
  ),
  ...["LoadBalancer", "NodePort"].map((type) =>
    set("services-stay-inside", database, ["spec", "type"], type, /must be ClusterIP/),
  ),
  set("services-stay-inside", database, ["spec", "type"], "ExternalName", /would lead out of it/),
  set("services-stay-inside", database, ["spec", "externalIPs"], ["203.0.113.7"], /must not be there/),
  set(
    "stores-are-not-published",
    ingress,
    ["spec", "rules", 0, "http", "paths", 0, "backend", "service", "port", "number"],
    8090,
    /a port of stores/,
  ),
  set(
    "stores-are-not-published",
    ingress,
    ["spec", "rules", 0, "http", "paths", 0, "backend", "service", "name"],
    "ref-database",
    /must not lead to database/,
  ),
  set("stores-are-not-published", route, ["spec", "rules", 0, "backendRefs", 0, "port"], 3306, /a port of stores/),
  set("stores-are-not-published", route, ["spec", "rules", 0, "backendRefs", 0, "name"], "ref-database", /to database/),
  set("ingresses-use-tls", ingress, ["spec", "tls"], nothing, /must be set/),
  set("ingresses-use-tls", ingress, ["spec", "rules", 0, "host"], "other.example.com", /among the hosts of tls/),
  set("ingresses-use-tls", ingress, ["spec", "rules", 0, "host"], nothing, /without a host/),
  ...[ingress, inbound].map((on) =>
    set(
      "public-frontends-are-filtered",
      on,
      ["metadata", "annotations", "tokenization.io/web-filter"],
      nothing,
      /filter/,
      {
        at: ["metadata", "annotations"],
      },
    ),
  ),
];

const access: readonly Break[] = [
  ...roles.flatMap((role) => [
    set("roles-name-their-rights", role, ["rules", 0, "verbs", 0], "*", /stand for all/),
    set("roles-name-their-rights", role, ["rules", 0, "resources", 0], "*", /stand for all/),
    set("roles-name-their-rights", role, ["rules", 0, "apiGroups", 0], "*", /stand for all/),
    set("roles-name-their-secrets", role, ["rules", 1, "resourceNames"], nothing, /must name each/),
    set("roles-name-their-secrets", role, ["rules", 1, "verbs", 0], "list", /shows every Secret/),
    set("roles-name-their-secrets", role, ["rules", 0, "resources", 0], "serviceaccounts/token", /must name each/, {
      at: ["rules", 0, "resourceNames"],
    }),
    set("roles-cannot-escalate", role, ["rules", 0, "verbs", 0], "escalate", /must not be there/),
    set("roles-cannot-escalate", role, ["rules", 0, "verbs", 0], "impersonate", /must not be there/),
    set("roles-cannot-escalate", role, ["rules", 0, "resources", 0], "pods/exec", /must not be there/),
  ]),
  ...bindings.flatMap((binding) => [
    set("bindings-name-their-subjects", binding, ["roleRef", "name"], "cluster-admin", /must not be cluster-admin/),
    set("bindings-name-their-subjects", binding, ["subjects", 0, "name"], "default", /must not be default/),
    set(
      "bindings-name-their-subjects",
      binding,
      ["subjects", 0, "name"],
      "system:serviceaccounts:shop",
      /must not be everybody/,
    ),
  ]),
  ...["acme-tokenizer", "globex-rotator"].flatMap((name) =>
    [true, nothing].map((value) =>
      set(
        "accounts-mount-no-token",
        `kubernetes:core/v1:ServiceAccount::${name}`,
        ["automountServiceAccountToken"],
        value,
        /must be false/,
      ),
    ),
  ),
  set(
    "accounts-are-not-shared",
    statefulSet,
    ["spec", "template", "spec", "serviceAccountName"],
    "ref-deployment",
    /must not be the account of/,
  ),
  set(
    "tokens-are-short-lived",
    "kubernetes:core/v1:Secret::ref-empty",
    ["type"],
    "kubernetes.io/service-account-token",
    /must not be a token/,
  ),
];

const appended = (line: string) => (old: unknown) => `${String(old)}\n${line}`;
const swapped = (from: string | RegExp, to: string) => (old: unknown) => {
  const text = String(old).replace(from, to);
  if (text === old) throw new Error(`there is no ${String(from)} to replace`);
  return text;
};
const haproxy = ["data", "haproxy.cfg"];
const squid = ["data", "squid.conf"];
const mysql = ["data", "my.cnf"];

const configs: readonly Break[] = [
  set("configs-use-modern-tls", config, haproxy, swapped("TLSv1.2", "TLSv1.1"), /before 1.2|must set ssl-min-ver/),
  set(
    "configs-use-modern-tls",
    config,
    haproxy,
    swapped("ssl-min-ver TLSv1.2", "no-tls-tickets"),
    /must set ssl-min-ver/,
  ),
  set("configs-use-modern-tls", config, haproxy, swapped("verify required", "verify none"), /must verify/),
  set("configs-use-modern-tls", config, squid, appended("sslproxy_cert_error allow all"), /must verify/),
  set("configs-use-modern-tls", config, mysql, swapped("TLSv1.2,", "TLSv1.1,"), /before 1.2/),
  set("configs-use-modern-tls", config, ["data", "agent.json"], '{"tls_skip_verify": "true"}', /must verify/),
  set("configs-use-modern-tls", config, haproxy, appended("ssl-default-bind-ciphers RC4-SHA"), /weak cipher/),
  set("card-traffic-is-encrypted", config, squid, swapped("icaps://", "icap://"), /icaps/),
  set("card-traffic-is-encrypted", config, squid, swapped("bypass=0", "bypass=1"), /must not bypass/),
  set("card-traffic-is-encrypted", config, squid, swapped("https_port", "http_port"), /https_port/),
  set(
    "card-traffic-is-encrypted",
    config,
    haproxy,
    swapped("ssl verify required", "check verify required"),
    /server line/,
  ),
  set("card-traffic-is-encrypted", config, haproxy, swapped(":8443 ssl", ":8080"), /bind line/),
  set("card-traffic-is-encrypted", config, ["data", "agent.json"], swapped("https:", "http:"), /an https address/),
  set("databases-require-tls", config, mysql, swapped("transport = ON", "transport = OFF"), /require_secure_transport/),
  set("databases-require-tls", config, mysql, swapped(/require.*\n/, ""), /must set require_secure_transport/),
  set("databases-require-tls", config, mysql, swapped("TLSv1.2,", "TLSv1.1,"), /tls_version/),
  set("databases-require-tls", config, mysql, appended("skip-grant-tables"), /grants/),
  set(
    "databases-require-tls",
    config,
    mysql,
    swapped("general_log = OFF", "general_log = ON"),
    /must not log statements/,
  ),
  set("proxies-are-minimal", config, haproxy, appended("  stats admin if TRUE"), /statistics page change/),
  set("proxies-are-minimal", config, haproxy, appended("  stats auth admin:admin"), /password of its statistics/),
  set("proxies-are-minimal", config, squid, swapped("ALL,1", "ALL,9"), /debug mode/),
  set("proxies-are-minimal", config, squid, appended("http_access allow all"), /every request/),
  set("proxies-are-minimal", config, squid, appended("cache_dir ufs /var/spool/squid 100 16 256"), /on disk/),
  set("card-data-is-not-logged", config, ["data", "schema.sql"], appended("cvv VARCHAR(4)"), /verification codes/),
  set(
    "card-data-is-not-logged",
    config,
    ["data", "schema.sql"],
    appended("track2_data TEXT"),
    /a column for verification codes/,
  ),
  set("card-data-is-not-logged", config, haproxy, appended("log-format '%[req.body]'"), /bodies or credentials/),
  set("card-data-is-not-logged", config, squid, appended("logformat all %{Authorization}>h"), /bodies or credentials/),
  set("configs-hold-no-secrets", config, ["data", "password"], "hunter2", /a secret by its name/),
  set("configs-hold-no-secrets", config, ["data", "key.pem"], "-----BEGIN PRIVATE KEY-----\nMII", /a private key/),
  set("configs-hold-no-secrets", chart, ["values", "adminPassword"], "admin", /a secret by its name/),
  set("configs-hold-no-secrets", release, ["values", "cloud", "id"], "AKIAIOSFODNN7EXAMPLE", /an AWS access key/),
  set("secrets-are-not-in-the-cluster", "kubernetes:core/v1:Secret::ref-empty", ["stringData", "a"], "b", /in Vault/, {
    at: ["stringData"],
    conceal: ["stringData"],
  }),
  set("secrets-are-not-in-the-cluster", files, ["spec", "secretObjects"], [{ secretName: "copy" }], /into Secrets/),
  set("secrets-are-not-in-the-cluster", files, ["spec", "parameters", "vaultAddress"], "http://vault:8200", /https/),
  set("secrets-are-not-in-the-cluster", files, ["spec", "parameters", "vaultSkipTLSVerify"], "true", /must not be set/),
];

const others: readonly Break[] = [
  set("certificates-are-inventoried", certificate, ["metadata", "labels"], {}, /the owner/),
  ...["duration", "renewBefore"].map((key) =>
    set("certificates-are-inventoried", certificate, ["spec", key], nothing, /must be set/),
  ),
  set("certificates-are-inventoried", certificate, ["spec", "issuerRef", "name"], nothing, /must be set/),
  set("certificates-are-inventoried", certificate, ["spec", "privateKey", "algorithm"], "RSA", /at least 3072/, {
    at: ["spec", "privateKey", "size"],
  }),
  set("certificates-are-inventoried", certificate, ["spec", "privateKey", "rotationPolicy"], "Never", /must be Always/),
  set("scrapes-verify-tls", scrape, ["spec", "endpoints", 0, "scheme"], "http", /must be https/),
  set(
    "scrapes-verify-tls",
    scrape,
    ["spec", "endpoints", 0, "tlsConfig", "insecureSkipVerify"],
    true,
    /must not be true/,
  ),
  set(
    "scrapes-verify-tls",
    "kubernetes:monitoring.coreos.com/v1:PodMonitor::ref-pod-scrape",
    ["spec", "podMetricsEndpoints", 0, "scheme"],
    nothing,
    /must be https/,
  ),
  ...["deployment", "statefulset"].map((name) =>
    remove(
      "workloads-survive-a-drain",
      `kubernetes:policy/v1:PodDisruptionBudget::ref-${name}`,
      name === "deployment" ? deployment : statefulSet,
      "",
      /must have a PodDisruptionBudget/,
    ),
  ),
  set(
    "workloads-survive-a-drain",
    "kubernetes:policy/v1:PodDisruptionBudget::ref-deployment",
    ["spec", "maxUnavailable"],
    "100%",
    /must leave some pods/,
  ),
  ...[deployment, statefulSet].map((on) =>
    set("replicas-are-spread", on, ["spec", "template", "spec", "topologySpreadConstraints"], nothing, /must be set/),
  ),
  set("controls-raise-alerts", alerts, ["spec", "groups", 0, "rules", 0], nothing, /an alert for network-isolation/, {
    on: "pulumi:pulumi:Stack::tokenshield-production",
    at: "network-isolation",
  }),
  set("controls-raise-alerts", alerts, ["spec", "groups", 0, "rules", 1, "labels", "control"], "none", /for backup/, {
    on: "pulumi:pulumi:Stack::tokenshield-production",
    at: "backup",
  }),
  set(
    "alerts-have-runbooks",
    alerts,
    ["spec", "groups", 0, "rules", 0, "labels", "severity"],
    "page",
    /must be critical/,
  ),
  ...["runbook_url", "summary"].map((key) =>
    set("alerts-have-runbooks", alerts, ["spec", "groups", 0, "rules", 0, "annotations", key], nothing, /must be set/),
  ),
  set("charts-are-pinned", chart, ["version"], "3.x", /a full version/),
  set("charts-are-pinned", chart, ["version"], nothing, /a full version/),
  set("charts-are-pinned", release, ["chart"], "https://charts.example.com/thing.tgz", /oci/),
  set("charts-are-pinned", release, ["repositoryOpts", "repo"], "https://charts.example.com", /use the mirror/),
  set("volumes-are-encrypted", storage, ["parameters", "encrypted"], "false", /must be true/),
  set("volumes-are-encrypted", storage, ["reclaimPolicy"], "Delete", /must be Retain/),
  set("production-runs-no-tests", "kubernetes:batch/v1:Job::ref-job", ["metadata", "name"], "seed-cards", /test data/),
  add(
    "environments-are-kept-apart",
    extra("pulumi:pulumi:StackReference", "staging", { name: "organization/tokenshield/staging" }),
    "",
    /none of this stack's business/,
  ),
  set("environments-are-kept-apart", namespace, ["metadata", "name"], "tokenshield-acme", /the name production/),
  add(
    "accounts-are-not-shared",
    extra("kubernetes:batch/v1:Job", "ref-second", {
      metadata: { name: "second", namespace: namespaceName },
      spec: { template: { spec: { serviceAccountName: "ref-cronjob" } } },
    }),
    "spec.template.spec.serviceAccountName",
    /must not be the account of ref-cronjob/,
  ),
];

/** Breaks of what a cluster has, but for the templates of pods. */
export const clusterBreaks: readonly Break[] = [...network, ...access, ...configs, ...others];
