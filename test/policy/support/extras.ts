import type { Resource } from "../../../policy/src/model/resource.ts";

const prefix = "urn:pulumi:production::tokenshield::";
const tenant = `${prefix}tokenshield:index:TokenShield::acme`;
const namespace = "tokenshield-production-acme";
const image = `registry.example.com/tokenshield/part:1.2.3@sha256:${"0123456789abcdef".repeat(4)}`;

/** Makes a resource below the tenant acme. */
export function extra(type: string, name: string, props: object, further: Partial<Resource> = {}): Resource {
  return {
    urn: `${prefix}tokenshield:index:TokenShield$${type}::${name}`,
    type,
    name,
    props: props as Record<string, unknown>,
    parent: tenant,
    dependencies: [],
    protect: false,
    ...further,
  };
}

const container = (name: string): object => ({
  name,
  image,
  command: ["/part"],
  args: ["--port=8443"],
  env: [
    { name: "LOG_LEVEL", value: "info" },
    { name: "SESSION_IDLE_TIMEOUT", value: "15m" },
    { name: "LOCKOUT_ATTEMPTS", value: "10" },
    { name: "LOCKOUT_DURATION", value: "30m" },
    { name: "TLS_MODE", value: "mutual" },
    { name: "VAULT_ADDR", value: "https://vault.example.com:8200" },
    { name: "USE_KEK_DEK", value: "true" },
    { name: "CVV_FIELDS", value: "refuse" },
    { name: "EGRESS_DESTINATIONS", value: "https://api.gateway.example.com,https://*.pay.example.net" },
    { name: "CORS_ALLOWED_ORIGINS", value: "https://shop.example.com" },
    { name: "REVEAL_ROUTES", value: "GET /api/cards" },
    { name: "DB_PASSWORD", value: "/mnt/secrets/db-password" },
    { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    { name: "DEBUG", value: "" },
    { name: "NODE_OPTIONS", value: "--max-semi-space-size=8" },
    { name: "NODE_TLS_REJECT_UNAUTHORIZED", value: "1" },
    { name: "VAULT_SKIP_VERIFY", value: "false" },
  ],
  envFrom: [{ configMapRef: { name: "settings" } }],
  ports: [{ containerPort: 8443 }],
  resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "128Mi" } },
  readinessProbe: { httpGet: { path: "/ready", port: 8443, scheme: "HTTPS" } },
  livenessProbe: { httpGet: { path: "/live", port: 8443, scheme: "HTTPS" } },
  securityContext: {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  },
});

const labels = (name: string): Record<string, string> => ({
  app: "tokenshield",
  "tokenization.io/tenant": "acme",
  "tokenization.io/role": name,
});

/** A sound pod, with one container of each list. */
const podSpec = (name: string): object => ({
  serviceAccountName: name,
  automountServiceAccountToken: false,
  hostNetwork: false,
  securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
  initContainers: [container("first")],
  containers: [container("main")],
  ephemeralContainers: [container("visitor")],
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway" },
  ],
  volumes: [
    { name: "secrets", csi: { driver: "secrets-store.csi.k8s.io", readOnly: true } },
    {
      name: "token",
      projected: { sources: [{ serviceAccountToken: { path: "vault", audience: "vault", expirationSeconds: 3600 } }] },
    },
  ],
});

/** Every kind that holds the template of a pod: its type's group, and where the pod's spec lies. */
export const podKinds = [
  ["core/v1:Pod", ["spec"]],
  ["core/v1:PodTemplate", ["template", "spec"]],
  ["core/v1:ReplicationController", ["spec", "template", "spec"]],
  ["apps/v1:Deployment", ["spec", "template", "spec"]],
  ["apps/v1:StatefulSet", ["spec", "template", "spec"]],
  ["apps/v1:DaemonSet", ["spec", "template", "spec"]],
  ["apps/v1:ReplicaSet", ["spec", "template", "spec"]],
  ["batch/v1:Job", ["spec", "template", "spec"]],
  ["batch/v1:CronJob", ["spec", "jobTemplate", "spec", "template", "spec"]],
].flatMap(([kind, path]) =>
  ["", "Patch"].map((suffix) => ({ type: `kubernetes:${kind as string}${suffix}`, path: path as readonly string[] })),
);

function workload(type: string, path: readonly string[]): Resource {
  const name = `ref-${(type.split(":").at(-1) ?? "").toLowerCase()}`;
  let object: object = { spec: podSpec(name), metadata: { labels: labels(name) } };
  const outer = path.slice(0, -1);
  for (const key of [...outer].reverse()) {
    const own = key === "spec" ? { replicas: 2 } : {};
    object = { [key]: { ...own, ...object } };
  }
  const metadata = { name, namespace, labels: labels(name) };
  const claims = type.includes("StatefulSet") ? { volumeClaimTemplates: [{ metadata: { name: "data" } }] } : {};
  const spec = (object as { spec?: object }).spec;
  const props = { ...object, metadata, ...(spec === undefined ? {} : { spec: { ...spec, ...claims } }) };
  return extra(type, name, props, { protect: type.includes("StatefulSet") });
}

const budget = (name: string): Resource =>
  extra("kubernetes:policy/v1:PodDisruptionBudget", name, {
    metadata: { name, namespace },
    spec: { maxUnavailable: 1, selector: { matchLabels: { "tokenization.io/role": name } } },
  });

const files: Readonly<Record<string, string>> = {
  "haproxy.cfg": [
    "global",
    "  ssl-default-bind-options ssl-min-ver TLSv1.2",
    "  stats socket /run/haproxy.sock mode 600 level admin",
    "frontend cards",
    "  bind :8443 ssl crt /certificates/tls.pem",
    "  log-format '%ci %HM %ST %Tt'",
    "backend tokenizer",
    "  server tokenizer tokenshield-tokenizer:8080 ssl verify required ca-file /certificates/ca.pem",
  ].join("\n"),
  "squid.conf": [
    "https_port 3128 tls-cert=/certificates/tls.pem",
    "icap_service tokens reqmod_precache icaps://tokenshield-tokenizer:1344/reveal bypass=0",
    "http_access allow merchant",
    "http_access deny all",
    "debug_options ALL,1",
    "logformat plain %ts %>a %>Hs",
  ].join("\n"),
  "my.cnf": ["[mysqld]", "require_secure_transport = ON", "tls_version = TLSv1.2,TLSv1.3", "general_log = OFF"].join(
    "\n",
  ),
  "schema.sql": "CREATE TABLE cards (\n  token VARCHAR(40) NOT NULL,\n  pan_ciphertext VARBINARY(64) NOT NULL\n);",
  "agent.json": '{"vault":{"address":"https://vault.example.com:8200"}}',
};

/** The controls that production raises no alert for yet, by exemption. */
const controls = ["network-isolation", "backup"];

const kubernetesExtras: readonly Resource[] = [
  ...podKinds.map(({ type, path }) => workload(type, path)),
  budget("ref-deployment"),
  budget("ref-statefulset"),
  extra("kubernetes:core/v1:Service", "ref-database", {
    metadata: { name: "ref-database", namespace },
    spec: { type: "ClusterIP", selector: labels("database"), ports: [{ port: 3306 }] },
  }),
  extra("kubernetes:core/v1:Service", "ref-inbound", {
    metadata: { name: "ref-inbound", namespace, annotations: { "tokenization.io/web-filter": "coraza" } },
    spec: { type: "LoadBalancer", selector: labels("inbound"), ports: [{ port: 443, targetPort: 8443 }] },
  }),
  extra("kubernetes:networking.k8s.io/v1:Ingress", "ref-ingress", {
    metadata: { name: "ref-ingress", namespace, annotations: { "tokenization.io/web-filter": "coraza" } },
    spec: {
      tls: [{ hosts: ["pay.example.com"], secretName: "pay-example-com" }],
      rules: [
        {
          host: "pay.example.com",
          http: { paths: [{ path: "/", backend: { service: { name: "ref-inbound", port: { number: 443 } } } }] },
        },
      ],
    },
  }),
  extra("kubernetes:gateway.networking.k8s.io/v1:HTTPRoute", "ref-route", {
    metadata: { name: "ref-route", namespace },
    spec: { rules: [{ backendRefs: [{ name: "ref-inbound", port: 443 }] }] },
  }),
  ...["Role", "ClusterRole"].map((kind) =>
    extra(`kubernetes:rbac.authorization.k8s.io/v1:${kind}`, `ref-${kind.toLowerCase()}`, {
      metadata: { name: "ref", namespace },
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] },
        { apiGroups: [""], resources: ["secrets"], resourceNames: ["one"], verbs: ["get"] },
      ],
    }),
  ),
  extra("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "ref-binding", {
    metadata: { name: "ref", namespace },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "ref" },
    subjects: [{ kind: "ServiceAccount", name: "ref-deployment", namespace }],
  }),
  extra("kubernetes:core/v1:ConfigMap", "ref-config", { metadata: { name: "ref", namespace }, data: files }),
  extra("kubernetes:core/v1:Secret", "ref-pull", {
    metadata: { name: "ref-pull", namespace },
    type: "kubernetes.io/dockerconfigjson",
  }),
  extra("kubernetes:core/v1:Secret", "ref-empty", { metadata: { name: "ref-empty", namespace }, type: "Opaque" }),
  extra("kubernetes:monitoring.coreos.com/v1:PrometheusRule", "ref-alerts", {
    metadata: { name: "ref", namespace },
    spec: {
      groups: [
        {
          name: "controls",
          rules: controls.map((control) => ({
            alert: `Failing-${control}`,
            expr: "absent(up)",
            labels: { severity: "critical", control },
            annotations: { summary: "It fails.", runbook_url: "https://docs.example.com/runbooks" },
          })),
        },
      ],
    },
  }),
  extra("kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "ref-scrape", {
    spec: { endpoints: [{ port: "metrics", scheme: "https", tlsConfig: { serverName: "tokenizer" } }] },
  }),
  extra("kubernetes:monitoring.coreos.com/v1:PodMonitor", "ref-pod-scrape", {
    spec: { podMetricsEndpoints: [{ port: "metrics", scheme: "https" }] },
  }),
  extra("kubernetes:cert-manager.io/v1:Certificate", "ref-certificate", {
    metadata: { name: "ref", namespace, labels: { component: "inbound" } },
    spec: {
      issuerRef: { name: "platform" },
      duration: "2160h",
      renewBefore: "720h",
      privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Always" },
    },
  }),
  extra("kubernetes:storage.k8s.io/v1:StorageClass", "ref-storage", {
    provisioner: "ebs.csi.aws.com",
    parameters: { encrypted: "true" },
    reclaimPolicy: "Retain",
  }),
  extra("kubernetes:helm.sh/v3:Release", "ref-release", {
    chart: "oci://registry.example.com/charts/thing",
    version: "1.2.3",
    values: { existingSecret: "ref-pull", replicas: 1 },
  }),
  // As an update sees a component of a provider: what it was given is the provider's alone.
  extra("kubernetes:helm.sh/v4:Chart", "ref-chart", {}),
];

const rdsCluster = {
  storageEncrypted: true,
  deletionProtection: true,
  backupRetentionPeriod: 30,
  skipFinalSnapshot: false,
  manageMasterUserPassword: true,
  enabledCloudwatchLogsExports: ["audit"],
};
const balancer = extra("aws:lb/loadBalancer:LoadBalancer", "ref-balancer", { internal: false });
const cloudExtras: readonly Resource[] = [
  balancer,
  extra("aws:wafv2/webAclAssociation:WebAclAssociation", "ref-filter", {}, { dependencies: [balancer.urn] }),
  extra("aws:rds/cluster:Cluster", "ref-aurora", rdsCluster, { protect: true }),
  extra("aws:rds/instance:Instance", "ref-rds", { ...rdsCluster, publiclyAccessible: false }),
  extra("aws:rds/clusterInstance:ClusterInstance", "ref-aurora-0", { publiclyAccessible: false }),
  extra("aws:rds/clusterParameterGroup:ClusterParameterGroup", "ref-parameters", {
    parameters: [
      { name: "require_secure_transport", value: "ON" },
      { name: "server_audit_logging", value: "1" },
      { name: "server_audit_events", value: "CONNECT,QUERY_DCL,QUERY_DDL" },
    ],
  }),
  extra("aws:ec2/securityGroup:SecurityGroup", "ref-group", {
    ingress: [{ protocol: "tcp", fromPort: 3306, toPort: 3306, cidrBlocks: ["10.40.0.0/16"] }],
    egress: [],
  }),
  extra("aws:ec2/securityGroupRule:SecurityGroupRule", "ref-group-rule", {
    protocol: "tcp",
    cidrBlocks: ["10.40.0.0/16"],
  }),
  extra("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ref-group-in", {
    ipProtocol: "tcp",
    cidrIpv4: "10.40.0.0/16",
  }),
  extra("aws:cloudwatch/logGroup:LogGroup", "ref-log", {
    retentionInDays: 400,
    kmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/logs",
    skipDestroy: true,
  }),
  extra("aws:iam/policy:Policy", "ref-policy", {
    policy: JSON.stringify({ Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::a/*" }] }),
  }),
];

/** The stack itself, with outputs as the contract has them. */
const stack: Resource = {
  urn: `${prefix}pulumi:pulumi:Stack::tokenshield-production`,
  type: "pulumi:pulumi:Stack",
  name: "tokenshield-production",
  props: { contractVersion: 1, vaultAddress: "https://vault.example.com:8200", tenants: { acme: { kvPath: "a/b" } } },
  parent: "",
  dependencies: [],
  protect: false,
};

/** Sound resources of the types that production's plan has none of. */
export const extraResources: readonly Resource[] = [stack, ...kubernetesExtras, ...cloudExtras];
