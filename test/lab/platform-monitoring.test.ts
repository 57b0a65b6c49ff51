import assert from "node:assert/strict";
import { Agent, request } from "undici";
import { clusterJobs, tenantJobs } from "../../bin/components/monitoring/alerts/alert.js";
import { type Metric, metrics } from "../../bin/components/monitoring/alerts/metrics.js";
import { alertGroups } from "../../bin/components/monitoring/alerts/rules.js";
import { dashboards } from "../../bin/components/monitoring/dashboards/boards.js";
import { drill, isSeen, doorHangs } from "./faults/index.ts";
import { namespace, usePlatform } from "./support/deploy.ts";
import { eventually, kubectl, useLab, vault } from "./support/lab.ts";
import { PrometheusClient, type Target } from "./support/prometheus.ts";

const catalogue: Readonly<Record<string, Metric>> = metrics;

/**
 * Metrics that have no series before something has happened once: nobody makes a disk full for a test, and a second value
 * is accepted, and a grace has an end, during a rotation's grace alone.
 */
const lateMetrics = ["apiserver_audit_error_total", "secret_beside_accepted", "rotation_grace_end_timestamp_seconds"];

/** Alerts of what the lab doesn't do: nothing takes backups of it, so its settings want none. */
const absentAlerts = ["BackupTooOld"];

/** Panels of what didn't happen on a platform that is well: failures, rates of a day with none, and the lab's backups. */
const quiet = ["Targets Down", "Errors of Mounts", "Secret Rotation Success Rate", "Age of the Last Backup"];

/** What the label of a metric must not be called: its values would be people's, or without bound. */
const forbiddenLabels = /^(path|uri|url|user(name)?|email|card|pan|token|order|client(_?ip)?|address|query)$/;

/** What no value of a label may hold: a token, a credential, somebody's address, a path with a number in it. */
const forbiddenValues = [
  /\btok_[A-Za-z0-9_-]{20,}/,
  /\b(tsk_|hv[sbr]\.)[A-Za-z0-9_-]{10,}/,
  /[^\s@/]+@[^\s@/]+\.[a-z]{2,}/,
  /^\/(?!etc\/|metrics).*\/\d+/,
];

/** Card numbers, by their length and check digit. */
function holdsCard(text: string): boolean {
  return [...text.matchAll(/(?<!\d)\d{13,19}(?!\d)/g)].some(([digits]) => {
    const sum = Array.from(digits, Number)
      .reverse()
      .map((digit, at) => (at % 2 === 0 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2))
      .reduce((total, value) => total + value, 0);
    return sum % 10 === 0;
  });
}

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
          if (lateMetrics.includes(name)) return [];
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
    assert.deepEqual(rules.map(({ name }) => name).sort(), names.filter((name) => !absentAlerts.includes(name)).sort());
    assert.deepEqual(
      rules.filter(({ health }) => health !== "ok"),
      [],
    );
  });

  it("has no more series than one Prometheus of its size can hold, in all and of the tenant", async () => {
    const [all = Infinity] = await client.values("prometheus_tsdb_head_series");
    assert.ok(all < 20_000, `${all} series`);
    const tenants = await client.samples("sum by (tenant) (scrape_samples_post_metric_relabeling)");
    assert.deepEqual(tenants.map(({ labels }) => labels["tenant"] ?? "none").sort(), ["acme", "none"]);
    for (const { labels, value } of tenants) assert.ok(value < 6_000, `${labels["tenant"] ?? "none"}: ${value} series`);
    const parts = await client.samples("max by (job) (scrape_samples_post_metric_relabeling)");
    for (const { labels, value } of parts) assert.ok(value < 2_000, `${labels["job"] ?? ""}: ${value} series`);
  });

  it("has no label that holds a card number, a token, a user or a path with ids", async function () {
    this.timeout(60_000);
    const names = await client.labels();
    assert.deepEqual(
      names.filter((name) => forbiddenLabels.test(name)),
      [],
    );
    const values = (await Promise.all(names.map((name) => client.labelValues(name)))).flat();
    assert.ok(values.length > 500, `${values.length} values`);
    assert.deepEqual(
      values.filter((value) => holdsCard(value) || forbiddenValues.some((pattern) => pattern.test(value))),
      [],
    );
  });

  it("has series for the queries of every panel", async function () {
    this.timeout(60_000);
    for (const { title, queries } of dashboards.flatMap(({ panels }) => panels)) {
      for (const { expr } of queries) {
        const samples = await client.samples(expr.replaceAll("$__rate_interval", "2m"));
        if (!quiet.includes(title)) assert.ok(samples.length > 0, `${title}: no series for ${expr}`);
      }
    }
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

  // The other faults are `npm run soak -- alerts`.
  it("tells of a target that hangs, and reads every target again once it goes on", async function () {
    this.timeout(400_000);
    const seen = await drill(client, doorHangs, () => undefined).seen;
    assert.deepEqual(
      seen
        .filter((one) => !isSeen(one))
        .map(({ alert, fired }) => `${alert}: ${fired === undefined ? "never" : "still"}`),
      [],
    );
    const targets = await eventually(
      () => client.targets(),
      (list) => list.every(({ health }) => health === "up"),
    );
    assert.deepEqual(
      targets.filter(({ health }) => health !== "up").map(({ labels }) => labels["job"]),
      [],
    );
  });
});
