import assert from "node:assert/strict";
import { type FlowArgs, flowsOf } from "../../../bin/components/network/flows.js";
import { tenantFlows } from "../../../bin/components/network/tenant-flows.js";
import { alertmanagerConfig, type Receiver } from "../../../bin/components/monitoring/receivers.js";
import { scrapedPorts, vaultScrape } from "../../../bin/components/monitoring/monitors.js";
import { backupHours } from "../../../bin/components/monitoring/scraped.js";
import { parts } from "../../../bin/components/parts.js";
import { parseSettings } from "../../../bin/stacks/settings.js";
import type { RegisteredResource } from "../../graph/graph.ts";
import { rawSettings } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

const raw = rawSettings("lab");

const ofKind = (graph: readonly RegisteredResource[], kind: string): RegisteredResource[] =>
  graph.filter(({ type }) => type.endsWith(`:${kind}`));

/** The lab's graph with other settings of monitoring. */
async function withMonitoring(monitoring: object, more: object = {}): Promise<readonly RegisteredResource[]> {
  const { graph } = await built({ ...raw, ...more, monitoring });
  return graph;
}

describe("monitoring", () => {
  it("scrapes each part by the port that the table of flows opens to Prometheus", () => {
    const settings = parseSettings(raw);
    const [tenant] = settings.tenants;
    assert.ok(tenant);
    const args: FlowArgs = tenantFlows(settings, tenant, parts);
    const opened = flowsOf(args).flatMap(({ from, to, ports }) =>
      from.kind === "pods" && from.name === "prometheus" && to.kind === "part"
        ? [[to.part, ports.map(({ port }) => port)] as const]
        : [],
    );
    assert.deepEqual(Object.fromEntries(opened), {
      tokenizer: scrapedPorts.tokenizer,
      database: scrapedPorts.database,
      inbound: scrapedPorts.inbound,
      outbound: scrapedPorts.outbound,
      ledgers: scrapedPorts.ledgers,
    });
  });

  it("gives Prometheus the right to find pods, where something is scraped, and no other", async () => {
    const { graph } = await built(raw);
    const roles = ofKind(graph, "Role").filter(({ name }) => name.startsWith("monitoring-"));
    const namespaces = roles.map(({ inputs }) => (inputs["metadata"] as { namespace: string }).namespace);
    assert.deepEqual(namespaces.sort(), ["default", "kube-system", "monitoring", "tokenshield-lab-acme"]);
    for (const { inputs } of roles) {
      for (const { verbs, resources } of inputs["rules"] as { verbs: string[]; resources: string[] }[]) {
        assert.deepEqual(verbs, ["get", "list", "watch"]);
        assert.ok(!resources.includes("secrets") && !resources.includes("configmaps"));
      }
    }
  });

  it("denies everything in its namespace but what its three programs need", async () => {
    const { graph } = await built(raw);
    const policies = ofKind(graph, "NetworkPolicy").filter(({ name }) => name.startsWith("monitoring-"));
    assert.deepEqual(policies.map(({ name }) => name).sort(), [
      "monitoring-alertmanager",
      "monitoring-deny",
      "monitoring-prometheus",
      "monitoring-prometheus-operator",
    ]);
    const alertmanager = policies.find(({ name }) => name === "monitoring-alertmanager");
    const text = JSON.stringify(alertmanager?.inputs["spec"]);
    assert.ok(!text.includes("0.0.0.0/0"), "without receivers it calls nobody outside");
  });

  it("lets Alertmanager out where there are receivers, and gives it their secrets as files by a login of its own", async () => {
    const receivers = [{ name: "team", kind: "slack", severities: ["warning"], file: "slack-address" }];
    const graph = await withMonitoring({ mode: "managed", receivers, receiverCidrs: ["203.0.113.0/24"] });
    const policy = ofKind(graph, "NetworkPolicy").find(({ name }) => name === "monitoring-alertmanager");
    assert.ok(JSON.stringify(policy?.inputs["spec"]).includes("203.0.113.0/24"));
    const [login] = ofKind(graph, "AuthBackendRole").filter(({ name }) => name === "monitoring-receivers");
    assert.deepEqual(login?.inputs["boundServiceAccountNames"], ["tokenshield-alertmanager"]);
    const [alertmanager] = ofKind(graph, "Alertmanager");
    assert.ok(JSON.stringify(alertmanager?.inputs["spec"]).includes('"mountPath":"/mnt/secrets"'));
  });

  it("makes monitors and alerts alone where Prometheus is somebody else's, with the labels that it selects by", async () => {
    const graph = await withMonitoring({ mode: "existing", labels: { release: "prometheus" } });
    for (const kind of ["Prometheus", "Alertmanager", "ServiceMonitor", "ScrapeConfig"]) {
      assert.deepEqual(ofKind(graph, kind), [], kind);
    }
    const made = [...ofKind(graph, "PodMonitor"), ...ofKind(graph, "PrometheusRule")];
    assert.equal(made.length, 6);
    for (const { inputs } of made) {
      assert.equal((inputs["metadata"] as { labels: Record<string, string> }).labels["release"], "prometheus");
    }
  });

  it("makes nothing where the settings want none, and no monitor of a tenant that doesn't ask for it", async () => {
    const none = await withMonitoring({ mode: "none" });
    assert.deepEqual(
      none.filter(({ type }) => type.includes("monitoring")),
      [],
    );
    const tenants = (raw["tenants"] as { spec: object }[]).map((one) => ({
      ...one,
      spec: { ...one.spec, monitoring: {} },
    }));
    const silent = await withMonitoring({ mode: "existing" }, { tenants });
    assert.deepEqual(ofKind(silent, "PodMonitor"), []);
  });

  it("is refused without its images, and without an operator", () => {
    const { references } = parseSettings(raw).registry;
    const others = Object.fromEntries(Object.entries(references).filter(([name]) => name !== "alertmanager"));
    const registry = { ...(raw["registry"] as object), references: others };
    assert.throws(() => parseSettings({ ...raw, registry }), /registry\.references\.alertmanager/);
    const addons = { ...(raw["addons"] as object), prometheusOperator: { mode: "none" } };
    assert.throws(() => parseSettings({ ...raw, addons }), /monitoring\.mode/);
    const receivers = [{ name: "team", kind: "slack", severities: ["warning"], file: "slack-address" }];
    assert.throws(
      () => parseSettings({ ...raw, monitoring: { mode: "existing", receivers } }),
      /monitoring\.receivers/,
    );
  });

  it("keeps metrics as long as settings say, and sends them on where they say, by a policy of its own", async () => {
    const remoteWrite = ["https://metrics.example.com/write"];
    const graph = await withMonitoring({
      mode: "managed",
      retentionDays: 30,
      remoteWrite,
      remoteWriteCidrs: ["198.51.100.0/24"],
    });
    const [prometheus] = ofKind(graph, "Prometheus");
    const spec = prometheus?.inputs["spec"] as { retention: string; remoteWrite: { url: string }[] };
    assert.equal(spec.retention, "30d");
    assert.deepEqual(spec.remoteWrite, [{ url: remoteWrite[0] }]);
    const policy = ofKind(graph, "NetworkPolicy").find(({ name }) => name === "monitoring-prometheus");
    assert.ok(JSON.stringify(policy?.inputs["spec"]).includes("198.51.100.0/24"));
    const [without] = ofKind(await withMonitoring({ mode: "managed" }), "Prometheus");
    assert.ok(!("remoteWrite" in (without?.inputs["spec"] as object)));
    assert.throws(
      () => parseSettings({ ...raw, monitoring: { mode: "managed", remoteWrite: ["http://metrics.example.com"] } }),
      /monitoring\.remoteWrite\[0\]/,
    );
  });

  it("takes a backup for too old two hours after the longest pause of its schedule, where a group's are wanted", () => {
    const hours = (backups: object, more: object = {}): number | undefined => {
      const spec = { highAvailability: { database: { backups } } };
      const settings = parseSettings({ ...raw, ...more, tenants: [{ name: "acme", spec }] });
      const [tenant] = settings.tenants;
      assert.ok(tenant);
      return backupHours(settings, tenant);
    };
    assert.equal(hours({}), 26);
    assert.equal(hours({ schedule: "0 2 * * 0" }), 170);
    assert.equal(hours({ schedule: "0 0 30 2 *" }), 366 * 24 + 2);
    assert.equal(hours({ enabled: false }), undefined);
    const database = { kind: "external", host: "db.example.com", cidrs: ["10.0.0.0/24"], caFile: "ca.pem" };
    assert.equal(hours({}, { database }), undefined);
  });

  it("tells other teams its addresses, empty ones where it isn't this stack's", async () => {
    const { value } = await built(raw);
    assert.equal(value.outputs.prometheusUrl, "http://prometheus-operated.monitoring.svc:9090");
    assert.equal(value.outputs.alertmanagerUrl, "http://alertmanager-operated.monitoring.svc:9093");
    const existing = await built({ ...raw, monitoring: { mode: "existing" } });
    assert.equal(existing.value.outputs.prometheusUrl, "");
  });
});

describe("Grafana", () => {
  const reference = `registry.example.com:5000/tokenshield/grafana:12.4.3@sha256:${"0".repeat(64)}`;
  const { references } = parseSettings(raw).registry;
  const registry = { ...(raw["registry"] as object), references: { ...references, grafana: reference } };
  const grafana = (more: object = {}): Promise<readonly RegisteredResource[]> =>
    withMonitoring({ mode: "managed", grafana: { mode: "managed", ...more } }, { registry });
  const chartOf = (graph: readonly RegisteredResource[]): RegisteredResource => {
    const chart = graph.find(({ name, type }) => name === "monitoring-grafana" && type.endsWith(":Chart"));
    assert.ok(chart);
    return chart;
  };

  it("is off unless the settings ask for it, and needs its image and a Prometheus of the stack", async () => {
    assert.ok(!(await built(raw)).graph.some(({ name }) => name.startsWith("monitoring-grafana")));
    const wanted = { mode: "managed", grafana: { mode: "managed" } };
    assert.throws(() => parseSettings({ ...raw, monitoring: wanted }), /registry\.references\.grafana/);
    const foreign = { mode: "existing", grafana: { mode: "managed" } };
    assert.throws(() => parseSettings({ ...raw, registry, monitoring: foreign }), /monitoring\.grafana\.mode/);
  });

  it("is a chart of the mirror with the platform's dashboards and this stack's Prometheus", async () => {
    const graph = await grafana({ version: "11.6.1" });
    const { chart, values } = chartOf(graph).inputs as {
      chart: string;
      values: Record<string, Record<string, unknown>>;
    };
    assert.match(chart, /grafana-11\.6\.1\.tgz$/);
    assert.deepEqual(values["image"], {
      registry: "registry.example.com:5000",
      repository: "tokenshield/grafana",
      tag: "12.4.3",
      sha: "0".repeat(64),
    });
    assert.deepEqual(values["dashboardsConfigMaps"], { tokenshield: "tokenshield-dashboards" });
    const map = graph.find(({ name }) => name === "monitoring-dashboards");
    assert.equal(Object.keys(map?.inputs["data"] as object).length, 6);
    assert.ok(JSON.stringify(values["datasources"]).includes("http://prometheus-operated.monitoring.svc:9090"));
    assert.deepEqual(values["rbac"], { create: false });
    assert.deepEqual(values["automountServiceAccountToken"], false);
  });

  it("reads the administrator's password from Vault as a file, by a login of its own", async () => {
    const graph = await grafana({ file: "grafana-admin" });
    const { values } = chartOf(graph).inputs as { values: Record<string, Record<string, Record<string, string>>> };
    assert.equal(values["grafana.ini"]?.["security"]?.["admin_password"], "$__file{/mnt/secrets/grafana-admin}");
    assert.deepEqual(values["env"], { GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: "false" });
    const mounts = JSON.stringify(values["extraSecretMounts"]);
    assert.ok(mounts.includes('"secretProviderClass":"tokenshield-grafana"'), mounts);
    const login = ofKind(graph, "AuthBackendRole").find(({ name }) => name === "monitoring-grafana-login");
    assert.deepEqual(login?.inputs["boundServiceAccountNames"], ["tokenshield-grafana"]);
    const policy = graph.find(({ name, type }) => name === "monitoring-grafana-login" && type.includes("policy"));
    assert.match(String(policy?.inputs["policy"]), /data\/monitoring\/grafana/);
    assert.doesNotMatch(String(policy?.inputs["policy"]), /receivers/);
  });

  it("reaches Prometheus alone, and is reached from the namespaces that settings name", async () => {
    const specOf = (graph: readonly RegisteredResource[], name: string): string =>
      JSON.stringify(ofKind(graph, "NetworkPolicy").find((one) => one.name === name)?.inputs["spec"]);
    const closed = await grafana();
    const spec = JSON.parse(specOf(closed, "monitoring-grafana")) as { ingress: object[]; egress: object[] };
    assert.deepEqual(spec.ingress, []);
    assert.equal(spec.egress.length, 2, "names and Prometheus");
    assert.ok(specOf(closed, "monitoring-prometheus").includes('"app.kubernetes.io/name":"grafana"'));
    assert.ok(specOf(await grafana({ clientNamespaces: ["ingress"] }), "monitoring-grafana").includes("ingress"));
  });
});

describe("Alertmanager's configuration", () => {
  interface Route {
    readonly matchers: string[];
    readonly receiver: string;
    readonly routes: { readonly receiver: string }[];
  }
  const receivers: readonly Receiver[] = [
    { name: "on-call", kind: "pagerduty", severities: ["critical"], file: "pagerduty-key" },
    { name: "team", kind: "webhook", severities: ["critical", "warning"], file: "team-address" },
  ];
  const config = JSON.parse(alertmanagerConfig(receivers)) as {
    readonly route: { readonly routes: Route[] };
    readonly receivers: object[];
  };

  it("has a route a severity, which leads to those who hear of it", () => {
    const told = config.route.routes.map(({ matchers, routes }) => [
      matchers[0],
      routes.map(({ receiver }) => receiver),
    ]);
    assert.deepEqual(told, [
      ['severity="critical"', ["on-call", "team"]],
      ['severity="warning"', ["team"]],
      ['severity="info"', []],
    ]);
  });

  it("names the files of the receivers' secrets", () => {
    assert.deepEqual(config.receivers, [
      { name: "nobody" },
      { name: "on-call", pagerduty_configs: [{ routing_key_file: "/mnt/secrets/pagerduty-key", send_resolved: true }] },
      { name: "team", webhook_configs: [{ url_file: "/mnt/secrets/team-address", send_resolved: true }] },
    ]);
  });
});

describe("the scrape of Vault", () => {
  it("names Vault's port, 443 where its address has none", () => {
    const targets = (address: string): unknown =>
      (vaultScrape(address, undefined) as { staticConfigs: { targets: string[] }[] }).staticConfigs[0]?.targets;
    assert.deepEqual(targets("https://vault.example.com:8200"), ["vault.example.com:8200"]);
    assert.deepEqual(targets("https://vault.example.com"), ["vault.example.com:443"]);
  });
});
