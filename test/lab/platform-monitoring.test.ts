import assert from "node:assert/strict";
import { Agent, request } from "undici";
import { clusterJobs, tenantJobs } from "../../bin/components/monitoring/alerts/alert.js";
import { type Metric, metrics } from "../../bin/components/monitoring/alerts/metrics.js";
import { alertGroups } from "../../bin/components/monitoring/alerts/rules.js";
import { namespace, usePlatform } from "./support/deploy.ts";
import { eventually, kubectl, useLab, vault } from "./support/lab.ts";
import { PrometheusClient, type Target } from "./support/prometheus.ts";

const catalogue: Readonly<Record<string, Metric>> = metrics;

/** Counters that have no series before what they count has happened once; nobody makes a disk full for a test. */
const lateCounters = ["apiserver_audit_error_total"];

/** The platform stays up for the suites that follow, the last of which takes it down. */
describe("monitoring on the lab", function () {
  useLab();
  let client: PrometheusClient;

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    client = await PrometheusClient.of("monitoring");
  });

  it("reads every target that it has, by verified TLS where cards are near", async function () {
    this.timeout(150_000);
    const wanted = [...tenantJobs, ...clusterJobs];
    const down = (targets: readonly Target[]): string[] => [
      ...wanted.filter((job) => !targets.some(({ labels }) => labels["job"] === job)).map((job) => `${job}: none`),
      ...targets.filter(({ health }) => health !== "up").map((one) => `${one.labels["job"] ?? ""}: ${one.lastError}`),
    ];
    const seen = await eventually(
      () => client.targets(),
      (targets) => down(targets).length === 0,
      120_000,
    );
    assert.deepEqual(down(seen), []);
    for (const { labels } of seen.filter(({ labels: { tenant } }) => tenant !== undefined)) {
      assert.equal(labels["tenant"], "acme");
      assert.ok(tenantJobs.some((job) => job === labels["job"]));
    }
  });

  it("has every metric that an alert names, with its labels", async function () {
    this.timeout(90_000);
    const missing = async (): Promise<string[]> => {
      const found = await Promise.all(
        Object.entries(catalogue).map(async ([name, { labels }]): Promise<string[]> => {
          if (lateCounters.includes(name)) return [];
          const [first] = await client.series(name);
          if (first === undefined) return [name];
          return ["job", ...labels].filter((label) => !(label in first)).map((label) => `${name}: ${label}`);
        }),
      );
      return found.flat();
    };
    assert.deepEqual(await eventually(missing, (list) => list.length === 0, 75_000), []);
  });

  it("computes every alert", async () => {
    const rules = await eventually(
      () => client.rules(),
      (list) => list.length > 0 && list.every(({ health }) => health === "ok"),
    );
    const names = alertGroups.flatMap(({ alerts }) => alerts.map(({ name }) => name));
    assert.deepEqual(rules.map(({ name }) => name).sort(), [...names].sort());
    assert.deepEqual(
      rules.filter(({ health }) => health !== "ok"),
      [],
    );
  });

  it("has no more series than one Prometheus of its size can hold", async () => {
    const [series = Infinity] = await client.values("prometheus_tsdb_head_series");
    assert.ok(series < 20_000, `${series} series`);
  });

  it("tells Alertmanager of refused credentials, with the tenant and the runbook", async function () {
    this.timeout(150_000);
    const { data } = JSON.parse(
      await vault(
        "write",
        "-format=json",
        "tokenshield-lab-pki-acme/issue/dashboard",
        `common_name=tokenshield-dashboard.${namespace}.svc`,
        "ttl=10m",
      ),
    ) as { data: { certificate: string; private_key: string; ca_chain: readonly string[] } };
    const ca = data.ca_chain.join("\n");
    const servername = `tokenshield-tokenizer.${namespace}.svc`;
    const agent = new Agent({ connect: { ca, cert: `${data.certificate}\n${ca}`, key: data.private_key, servername } });
    const address = await kubectl(
      ...["get", "service", "tokenshield-tokenizer", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"],
    );
    for (let count = 0; count < 60; count += 1) {
      const { statusCode, body } = await request(`https://${address}:8090/api/v1/tokens`, {
        dispatcher: agent,
        headers: { "x-api-key": "tsk_nobody_has_this_key" },
      });
      await body.dump();
      assert.ok(statusCode === 401 || statusCode === 429, `${statusCode}`);
    }
    await agent.destroy();
    const received = await eventually(
      () => client.received(),
      (alerts) => alerts.some(({ labels }) => labels["alertname"] === "LoginsRefused"),
      110_000,
    );
    const alert = received.find(({ labels }) => labels["alertname"] === "LoginsRefused");
    assert.equal(alert?.labels["tenant"], "acme");
    assert.equal(alert.labels["severity"], "warning");
    assert.match(alert.annotations["summary"] ?? "", /^acme: \d+.* credentials \(\w+\) were refused/);
    assert.match(alert.annotations["runbook_url"] ?? "", /\/LoginsRefused\.md$/);
  });
});
