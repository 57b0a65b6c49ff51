import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { firstLedger, type Generation, type RotationLedger } from "@tokenshield/rotation";
import { alertPage, metricsOf } from "../../../bin/components/monitoring/alerts/page.js";
import { type Metric, metrics, targetLabels } from "../../../bin/components/monitoring/alerts/metrics.js";
import {
  type Alert,
  conditionOf,
  shareOfTime,
  type TenantJob,
} from "../../../bin/components/monitoring/alerts/alert.js";
import { dashboards } from "../../../bin/components/monitoring/dashboards/boards.js";
import { alertGroups, type AlertRule, ruleSpec } from "../../../bin/components/monitoring/alerts/rules.js";
import { Metrics as DriverMetrics } from "../../../lab/csi/src/metrics.ts";
import type { Agent } from "../../../services/mysql-agent/src/agent.ts";
import { metrics as agentMetrics } from "../../../services/mysql-agent/src/metrics.ts";
import { ledgerGauges } from "../../../services/rotator/src/exporter/index.ts";
import { operationIds } from "../../../services/tokenizer/src/api/operation-ids.ts";
import type { SecretFiles } from "../../../services/tokenizer/src/core/ports.ts";
import { tellSecretsInUse } from "../../../services/tokenizer/src/service/secrets-in-use.ts";
import { Metrics, SecretMetrics } from "../../../services/tokenizer/src/telemetry/index.ts";
import { everything } from "../../graph/alert-context.ts";
import { page } from "../../graph/stack-files.ts";

const alerts: readonly Alert[] = alertGroups.flatMap((group) => group.alerts);
const named = new Map(alerts.map((alert) => [alert.name, alert]));
const catalogue: Readonly<Record<string, Metric>> = metrics;
/** Functions of PromQL that look like metrics. */
const functions = ["histogram_quantile", "count_over_time", "label_replace"];
const runbooks = join(import.meta.dirname, "../../../docs/runbooks");

/** The condition where everything that alerts watch is there. */
function condition(alert: Alert): string {
  const expr = conditionOf(alert, everything);
  assert.ok(expr !== undefined, `${alert.name} has no condition where everything is there`);
  return expr;
}

/** What an exporter serves: labels by series name. */
function served(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, name = "", labels = ""] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /.exec(line) ?? [];
      return [name, [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label ?? "")] as const;
    }),
  );
}

describe("alerts", () => {
  it("have names of their own, and the ten of the secrets runtime are among them", () => {
    assert.equal(named.size, alerts.length);
    const contract = {
      HighSecretAccessErrorRate: ["warning", "5m", "> 0.1"],
      SecretRotationFailure: ["critical", "5m", "> 0"],
      LowCacheHitRate: ["warning", "15m", "< 0.7"],
      HighSecretAccessLatency: ["warning", "10m", "> 0.05"],
      LowRotationSuccessRate: ["critical", "30m", "< 0.99"],
      SecretWatcherDown: ["warning", "5m", "== 0"],
      HighRotationDuration: ["warning", "30m", "300"],
      SecretProviderDown: ["critical", "2m", 'job="secret-provider"'],
      ExcessiveSecretAccess: ["warning", "10m", "> 100"],
      LargeSecretCache: ["info", "15m", "> 1000"],
    };
    for (const [name, [severity, duration, threshold]] of Object.entries(contract)) {
      const alert = named.get(name);
      assert.ok(alert !== undefined, name);
      assert.deepEqual([alert.severity, alert.for], [severity, duration], name);
      assert.ok(condition(alert).includes(threshold ?? ""), `${name}: ${condition(alert)}`);
    }
  });

  it("use metrics and labels of the catalogue alone, and nothing is in it that neither an alert nor a panel uses", () => {
    const used = new Set<string>();
    for (const alert of alerts) {
      const expr = condition(alert);
      const names = metricsOf(expr);
      assert.ok(names.length > 0, alert.name);
      for (const name of names) used.add(name);
      const known = new Set([...targetLabels, ...names.flatMap((name) => catalogue[name]?.labels ?? [])]);
      const matched = [...expr.matchAll(/[{,](\w+)[=!]~?"/g)].map(([, label]) => label ?? "");
      const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", "));
      for (const label of [...matched, ...grouped]) {
        assert.ok(known.has(label), `${alert.name}: label ${label} is none of ${names.join(", ")}`);
      }
      const words = [...expr.replaceAll(/"[^"]*"/g, "").matchAll(/\b[a-z]+_[a-z_]+\b/g)].map(([word]) => word);
      for (const word of words.filter((one) => !known.has(one) && !functions.includes(one))) {
        assert.ok(Object.hasOwn(catalogue, word), `${alert.name}: ${word} isn't in the catalogue`);
      }
    }
    for (const { expr } of dashboards.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries))) {
      for (const name of metricsOf(expr)) used.add(name);
    }
    assert.deepEqual([...used].sort(), Object.keys(catalogue).sort());
  });

  it("wait a share of their time where settings say so, under the same conditions", () => {
    const rulesOf = (patience: number): readonly AlertRule[] =>
      ruleSpec({ ...everything, patience }, "https://runbooks.example.com").groups.flatMap(({ rules }) => rules);
    const hurried = new Map(rulesOf(0.1).map((rule) => [rule.alert, rule]));
    for (const rule of rulesOf(1)) {
      assert.deepEqual({ ...hurried.get(rule.alert), for: "" }, { ...rule, for: "" });
    }
    const waits = [
      "TargetDown",
      "SecretProviderDown",
      "LowRotationSuccessRate",
      "ErrorBudgetBurnSlow",
      "LoginsRefused",
    ];
    assert.deepEqual(
      waits.map((name) => hurried.get(name)?.for),
      ["30s", "12s", "180s", "360s", "0s"],
    );
    assert.equal(shareOfTime("5m", 1), "5m");
    assert.throws(() => shareOfTime("5d", 0.1), /expected a time such as 5m/);
  });

  it("speak of labels that what fires has", () => {
    for (const { name, summary, description, fires, firesToo = [] } of alerts) {
      for (const [, label = ""] of `${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)) {
        for (const { labels } of [fires, ...firesToo]) assert.ok(Object.hasOwn(labels, label), `${name}: ${label}`);
      }
    }
  });

  it("are left out where nothing of what they watch is there", () => {
    const bare = ruleSpec({ ...everything, tenants: [], jobs: [] }, "https://runbooks.example.com");
    const left = bare.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    for (const name of ["SecretProviderDown", "TargetMissing", "DatabaseNoPrimary", "AlertsNotDelivered"]) {
      assert.ok(!left.includes(name), name);
    }
  });

  it("watch a tenant's database only where it is a group that is scraped", () => {
    const single = { ...everything, tenants: [{ name: "acme", jobs: ["tokenizer", "database"] as const, members: 1 }] };
    const atRisk = named.get("DatabaseQuorumAtRisk");
    const noPrimary = named.get("DatabaseNoPrimary");
    assert.ok(atRisk !== undefined && noPrimary !== undefined);
    assert.equal(conditionOf(atRisk, single), undefined);
    assert.ok(conditionOf(noPrimary, single)?.includes('tenant="acme"'));
    const outside = { ...everything, tenants: [{ name: "acme", jobs: ["tokenizer"] as const, members: 0 }] };
    assert.equal(conditionOf(noPrimary, outside), undefined);
  });

  it("watch backups only of a group whose tenant wants them, by the age that its schedule allows", () => {
    const tooOld = named.get("BackupTooOld");
    assert.ok(tooOld !== undefined);
    const of = (jobs: readonly TenantJob[], backupHours?: number): string | undefined =>
      conditionOf(tooOld, { ...everything, tenants: [{ name: "acme", jobs, members: 3, backupHours }] });
    assert.ok(of(["database"], 170)?.includes("> 612000"), "a week and two hours");
    assert.equal(of(["database"]), undefined);
    assert.equal(of(["tokenizer"], 26), undefined);
  });

  it("watch rotations only where somebody tells of the ledgers", () => {
    const without = { ...everything, tenants: [{ name: "acme", jobs: ["tokenizer"] as const, members: 3 }] };
    for (const name of ["RotationOverdue", "RotationStuck", "RotationUnwatched"]) {
      const alert = named.get(name);
      assert.ok(alert !== undefined, name);
      assert.equal(conditionOf(alert, without), undefined, name);
    }
  });

  it("have each a runbook that says how to see, decide and act, and no runbook is left over", () => {
    for (const { name } of alerts) {
      const file = join(runbooks, `${name}.md`);
      assert.ok(existsSync(file), `docs/runbooks/${name}.md is missing`);
      const text = readFileSync(file, "utf8");
      for (const heading of [`# ${name}`, "## See", "## Decide", "## Act"]) {
        assert.ok(text.includes(`${heading}\n`), `docs/runbooks/${name}.md has no "${heading}"`);
      }
    }
    const files = readdirSync(runbooks).filter((file) => file !== "README.md");
    assert.deepEqual(files.sort(), [...named.keys()].map((name) => `${name}.md`).sort());
  });

  it("are listed in docs/alerts.md; after a change that is meant, run `npm run docs`", () => {
    assert.equal(page("alerts.md"), alertPage());
  });
});

describe("metrics that alerts name", () => {
  const check = (exporter: Metric["exporter"], text: string): void => {
    const series = served(text);
    const wanted = Object.entries(catalogue).filter(([, metric]) => metric.exporter === exporter);
    assert.ok(wanted.length > 0);
    for (const [name, { labels }] of wanted) {
      const given = series.get(name);
      assert.ok(given !== undefined, `${exporter} serves no ${name}`);
      assert.deepEqual([...given].sort(), [...labels].sort(), name);
    }
  };

  it("are served by the tokenizer, with their labels", async () => {
    const own = new Metrics({ http: ["forward"], icap: ["reqmod"], api: operationIds });
    new SecretMetrics(own.registry, { tenant: "acme", provider: "vault", files: ["db-password"], required: [] });
    const key = { group: "encryption_kek", generation: 2, digest: "this", beside: "before" };
    const noFiles = { read: () => undefined } as unknown as SecretFiles;
    tellSecretsInUse(
      own.registry,
      "acme",
      noFiles,
      () => true,
      () => [key],
    );
    const nothing = { used: 0, idle: 0, max: 0 };
    const zero = (): Promise<number> => Promise.resolve(0);
    check("tokenizer", await own.expose({ connections: () => nothing, activeTokens: zero, liveSessions: zero }));
  });

  it("are served by the rotator's exporter, with their labels", async () => {
    const began = "2026-01-01T00:00:00.000Z";
    const before = { generation: 1 as Generation, origin: null, since: began, until: began, digests: {} };
    const first = firstLedger({}, new Date(began));
    const ledger: RotationLedger = { ...first, generation: 2 as Generation, phase: "converged", previous: before };
    const seen = new Map([["database", { ledger, read: true, at: new Date(began), failures: 0 }]]);
    const classes = { database: { automatic: true, intervalDays: 90 } };
    check("rotator", await ledgerGauges("acme", classes, () => seen).metrics());
  });

  it("are served by the agent beside MySQL, with their labels", async () => {
    const vitals = { view: { kind: "down" }, sinceRound: 0, silent: 0 };
    const agent = { vitals: () => vitals, action: { kind: "rest" }, boardError: undefined } as unknown as Agent;
    check("mysql-agent", await agentMetrics(agent, { figures: undefined, lastBackup: 0 }, "cards").metrics());
  });

  it("are served by the CSI driver, with their labels", async () => {
    check("csi-driver", await new DriverMetrics().registry.metrics());
  });
});
