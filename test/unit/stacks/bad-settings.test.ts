import assert from "node:assert/strict";
import { parseSettings, SettingsError } from "../../../bin/stacks/settings.js";
import { rawSettings } from "../../graph/stack-files.ts";

/** Each case breaks the settings of staging at one place and says what the error must tell. */
interface BadSettings {
  readonly title: string;
  /** The place that is overwritten, and what with; `undefined` removes it. */
  readonly at: readonly (string | number)[];
  readonly value: unknown;
  /** The path in the error, if it isn't the place itself. */
  readonly path?: string;
  readonly expected: RegExp;
}

const spec = ["tenants", 0, "spec"] as const;
const other = (name: string, rest: object = {}): unknown[] => [{ name: "acme" }, { name, ...rest }];

const secrets = ["tenants", 0, "secrets"] as const;
const oneField = [{ name: "KEY" }];

const cases: readonly BadSettings[] = [
  { title: "no environment", at: ["environment"], value: undefined, expected: /a string/ },
  { title: "an environment in capitals", at: ["environment"], value: "LAB", expected: /lower-case/ },
  { title: "an environment that is too long", at: ["environment"], value: "x".repeat(21), expected: /at most 20/ },
  { title: "a mistyped key", at: ["tennants"], value: [], expected: /no such setting/ },
  { title: "a mistyped field", at: [...spec, "tokenizer", "replica"], value: 2, expected: /no such setting/ },
  { title: "no context", at: ["cluster", "context"], value: undefined, expected: /a string/ },
  { title: "an empty context", at: ["cluster", "context"], value: "", expected: /at least 1 char/ },
  { title: "no API server", at: ["cluster", "apiServer"], value: undefined, expected: /an object/ },
  { title: "a bad range", at: ["cluster", "apiServer", "cidrs", 0], value: "10.0.0.1", expected: /IPv4 range/ },
  { title: "port 0", at: ["cluster", "apiServer", "port"], value: 0, expected: /at least 1/ },
  { title: "Vault without TLS", at: ["vault", "address"], value: "http://vault:8200", expected: /https/ },
  { title: "Vault with a login", at: ["vault", "address"], value: "https://u:p@vault:8200", expected: /credentials/ },
  {
    title: "one audit device",
    at: ["vault", "audit", 1],
    value: undefined,
    path: "vault.audit",
    expected: /at least 2/,
  },
  { title: "an owner without API address", at: ["vault", "kubernetes"], value: undefined, expected: /host/ },
  { title: "a Vault out of reach", at: ["vault", "reach"], value: {}, expected: /cidrs or namespace/ },
  { title: "a long-lived certificate", at: ["vault", "pki", "leafMinutes"], value: 2880, expected: /at most 1440/ },
  {
    title: "an image with a scheme",
    at: ["registry", "references", "vault"],
    value: "https://r.example.com/vault",
    expected: /image reference/,
  },
  {
    title: "an image without a digest",
    at: ["safety", "imagesByDigest"],
    value: true,
    path: "registry.references.vault",
    expected: /@sha256/,
  },
  {
    title: "no image of Vault",
    at: ["registry", "references"],
    value: {},
    path: "registry.references.vault",
    expected: /string/,
  },
  {
    title: "a floating chart version",
    at: ["addons", "metricsServer", "version"],
    value: "3.x",
    expected: /full version/,
  },
  {
    title: "a CSI driver that is missing",
    at: ["addons", "secretsStoreCsiDriver", "mode"],
    value: "none",
    expected: /secrets through it/,
  },
  {
    title: "add-ons without owning them",
    at: ["cluster", "owner"],
    value: "existing",
    path: "addons.metricsServer.mode",
    expected: /cluster.owner/,
  },
  {
    title: "an interval of zero",
    at: ["rotation"],
    value: { classes: { jwt: { intervalDays: 0 } } },
    path: "rotation.classes.jwt.intervalDays",
    expected: /at least 1/,
  },
  {
    title: "a grace beyond 30 days",
    at: ["rotation"],
    value: { classes: { api: { graceHours: 721 } } },
    path: "rotation.classes.api.graceHours",
    expected: /at most 720/,
  },
  {
    title: "a request of nobody",
    at: ["rotation"],
    value: { requests: { "nobody/jwt": { kind: "rotate", id: "a", reason: "test" } } },
    path: "rotation.requests.nobody/jwt",
    expected: /tenant of this stack/,
  },
  {
    title: "an external database without a host",
    at: ["database"],
    value: { kind: "external", cidrs: ["10.0.0.0/24"], caFile: "ca.pem" },
    path: "database.host",
    expected: /DNS name/,
  },
  {
    title: "an external database whose certificate nothing checks",
    at: ["database"],
    value: { kind: "external", host: "db.example.com", cidrs: ["10.0.0.0/24"] },
    path: "database.caFile",
    expected: /authorities/,
  },
  {
    title: "Aurora without AWS",
    at: ["database"],
    value: {
      kind: "aurora",
      cidrs: ["10.0.0.0/24"],
      caFile: "ca.pem",
      aurora: { subnetIds: ["subnet-0a", "subnet-0b"], securityGroupIds: ["sg-0c"] },
    },
    path: "database.kind",
    expected: /aws/,
  },
  {
    title: "Aurora without its subnets",
    at: ["database"],
    value: { kind: "aurora", cidrs: ["10.0.0.0/24"], caFile: "ca.pem" },
    path: "database.aurora",
    expected: /object/,
  },
  {
    title: "application secrets in a group of the platform's own",
    at: [...secrets, 0, "group"],
    value: "jwt",
    expected: /platform's own/,
  },
  { title: "application secrets without a field", at: [...secrets, 0, "fields"], value: [], expected: /at least 1/ },
  { title: "a value among the settings", at: [...secrets, 0, "fields", 0, "value"], value: "x", expected: /no such/ },
  {
    title: "an unknown rotation class",
    at: [...secrets, 0, "class"],
    value: "yearly",
    expected: /"api" or "database"/,
  },
  { title: "a group twice", at: [...secrets, 1, "group"], value: "fraud_scoring", expected: /of its own/ },
  {
    title: "a file twice",
    at: [...secrets, 1, "fields", 0, "file"],
    value: "fraud-api-key",
    expected: /fraud-api-key is taken/,
  },
  {
    title: "a file that the optional class has itself",
    at: [...secrets, 1, "fields", 0, "file"],
    value: "account",
    expected: /account is taken/,
  },
  {
    title: "application secrets without an application",
    at: ["tenants", 0, "application"],
    value: undefined,
    expected: /as there are secrets/,
  },
  {
    title: "application secrets of two tenants in one namespace",
    at: ["tenants", 1],
    value: {
      name: "globex",
      application: { namespace: "shop", labels: { app: "b" }, port: 80, url: "http://b.shop.svc" },
      secrets: [{ group: "a", fields: oneField }],
    },
    path: "tenants[1].application.namespace",
    expected: /secrets of acme are there/,
  },
  {
    title: "application secrets in AWS without AWS",
    at: ["applicationSecrets", "provider"],
    value: "aws",
    expected: /cloud\.provider/,
  },
  {
    title: "Pod Identity without a cluster",
    at: ["applicationSecrets"],
    value: { identity: "pod-identity" },
    path: "applicationSecrets.eksCluster",
    expected: /a name/,
  },
  {
    title: "a group of two",
    at: ["database", "group"],
    value: { members: 2 },
    path: "database.group.members",
    expected: /3 or 5/,
  },
  {
    title: "a MySQL server with less memory than it starts with",
    at: ["database", "group"],
    value: { memory: "256Mi" },
    path: "database.group.memory",
    expected: /704Mi/,
  },
  {
    title: "a group without an image of MySQL",
    at: ["registry", "references"],
    value: Object.fromEntries(
      ["vault", "mysql-agent", "tokenizer", "rotator", "ingress-proxy", "egress-proxy"].map((name) => [
        name,
        `registry.example.com/${name}:1`,
      ]),
    ),
    path: "registry.references.mysql",
    expected: /image/,
  },
  { title: "AWS without a region", at: ["cloud"], value: { provider: "aws" }, path: "cloud.region", expected: /aws/ },
  { title: "tenants that are no list", at: ["tenants"], value: { acme: {} }, expected: /a list/ },
  {
    title: "two tenants of one name",
    at: ["tenants"],
    value: other("acme"),
    path: "tenants[1].name",
    expected: /of its own/,
  },
  {
    title: "two tenants in one namespace",
    at: ["tenants"],
    value: other("globex", { namespace: "tokenshield-staging-acme" }),
    path: "tenants[1].namespace",
    expected: /of its own/,
  },
  {
    title: "an unknown token format",
    at: [...spec, "tokenization"],
    value: { format: "uuid" },
    path: "tenants[0].spec.tokenization.format",
    expected: /"prefix" or "luhn"/,
  },
  {
    title: "encryption turned off",
    at: [...spec, "tokenization"],
    value: { encryption: { enabled: false } },
    path: "tenants[0].spec.tokenization.encryption.enabled",
    expected: /true \(card numbers/,
  },
  {
    title: "one level of keys",
    at: [...spec, "tokenization"],
    value: { encryption: { kekDek: false } },
    path: "tenants[0].spec.tokenization.encryption.kekDek",
    expected: /true \(data keys/,
  },
  {
    title: "a wrong schedule",
    at: [...spec, "tokenization"],
    value: { encryption: { keyRotation: { schedule: "weekly" } } },
    path: "tenants[0].spec.tokenization.encryption.keyRotation.schedule",
    expected: /five fields/,
  },
  { title: "PostgreSQL", at: [...spec, "database", "type"], value: "postgresql", expected: /not built/ },
  {
    title: "credentials from a Secret",
    at: [...spec, "database", "connectionSecret"],
    value: "db",
    expected: /from Vault/,
  },
  { title: "a size without a number", at: [...spec, "database", "size"], value: "big", expected: /quantity/ },
  { title: "Envoy", at: [...spec, "proxies", "inbound", "type"], value: "envoy", expected: /not built/ },
  { title: "nginx as egress", at: [...spec, "proxies", "outbound", "type"], value: "nginx", expected: /"squid"/ },
  { title: "half a pod", at: [...spec, "tokenizer", "replicas"], value: 1.5, expected: /whole number/ },
  { title: "one pod in high availability", at: [...spec, "tokenizer", "replicas"], value: 1, expected: /at least 2/ },
  {
    title: "more pods than allowed",
    at: [...spec, "tokenizer", "replicas"],
    value: 7,
    expected: /autoscaling.maxReplicas/,
  },
  {
    title: "requests above limits",
    at: [...spec, "tokenizer", "resources", "requests", "cpu"],
    value: "2",
    expected: /at most the limit/,
  },
  {
    title: "a scaler turned around",
    at: [...spec, "tokenizer", "autoscaling"],
    value: { minReplicas: 4, maxReplicas: 3 },
    path: "tenants[0].spec.tokenizer.autoscaling.minReplicas",
    expected: /at most maxReplicas/,
  },
  {
    title: "a dashboard without TLS",
    at: [...spec, "dashboard"],
    value: { ingress: { enabled: true, host: "a.example.com" } },
    path: "tenants[0].spec.dashboard.ingress.tls.enabled",
    expected: /without TLS/,
  },
  {
    title: "a dashboard without a host",
    at: [...spec, "dashboard"],
    value: { ingress: { enabled: true, tls: { enabled: true } } },
    path: "tenants[0].spec.dashboard.ingress.host",
    expected: /DNS name/,
  },
  {
    title: "a dashboard without a certificate",
    at: [...spec, "dashboard"],
    value: { ingress: { enabled: true, host: "a.example.com", tls: { enabled: true } } },
    path: "tenants[0].spec.dashboard.ingress.tls.secretName",
    expected: /name of a Secret/,
  },
  {
    title: "a service monitor without metrics",
    at: [...spec, "monitoring", "prometheus", "enabled"],
    value: false,
    path: "tenants[0].spec.monitoring.prometheus.serviceMonitor",
    expected: /prometheus.enabled/,
  },
  {
    title: "dashboards without Grafana",
    at: [...spec, "monitoring", "grafana"],
    value: { dashboards: true },
    path: "tenants[0].spec.monitoring.grafana.dashboards",
    expected: /grafana.enabled/,
  },
  {
    title: "alerts in a hurry where data is kept",
    at: ["monitoring", "alertPatience"],
    value: 0.1,
    expected: /1, as safety.dataOnDestroy is retain/,
  },
  {
    title: "no network policies",
    at: [...spec, "security"],
    value: { networkPolicies: false },
    path: "tenants[0].spec.security.networkPolicies",
    expected: /true/,
  },
  {
    title: "no internal TLS",
    at: [...spec, "security"],
    value: { tls: { internal: false } },
    path: "tenants[0].spec.security.tls.internal",
    expected: /every hop/,
  },
  {
    title: "certificates from cert-manager",
    at: [...spec, "security"],
    value: { tls: { certManager: true } },
    path: "tenants[0].spec.security.tls.certManager",
    expected: /addons\.certManager\.mode is none|certificates\.issuer names none/,
  },
  {
    title: "an application without labels",
    at: ["tenants", 0, "application", "labels"],
    value: {},
    expected: /at least one label/,
  },
  {
    title: "a gateway that is an address",
    at: ["tenants", 0, "gateways", 0, "host"],
    value: "https://x",
    expected: /DNS name/,
  },
];

describe("bad settings", () => {
  for (const { title, at, value, path, expected } of cases) {
    it(`are refused by their path: ${title}`, () => {
      const raw = changed(rawSettings("staging"), at, value);
      const where =
        path ??
        at
          .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
          .join("")
          .slice(1);
      try {
        parseSettings(raw);
      } catch (error) {
        assert.ok(error instanceof SettingsError);
        const problem = error.problems.find((one) => one.path === where);
        assert.ok(problem, `${where} isn't among ${error.problems.map((one) => one.path).join(", ")}`);
        assert.match(problem.expected, expected);
        assert.notEqual(problem.given, "");
        return;
      }
      assert.fail("the settings were accepted");
    });
  }
});

function changed(raw: unknown, at: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(raw);
  const last = at.at(-1);
  let place = copy as Record<string | number, unknown>;
  for (const part of at.slice(0, -1)) place = (place[part] ??= {}) as Record<string | number, unknown>;
  if (last === undefined) return value;
  if (value === undefined && Array.isArray(place)) place.splice(Number(last), 1);
  else if (value === undefined) Reflect.deleteProperty(place, last);
  else place[last] = value;
  return copy;
}
