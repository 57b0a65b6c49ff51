import assert from "node:assert/strict";
import { metricsOf } from "../../../bin/components/monitoring/alerts/page.js";
import { metrics } from "../../../bin/components/monitoring/alerts/metrics.js";
import { dashboards } from "../../../bin/components/monitoring/dashboards/boards.js";
import { dashboardOf } from "../../../bin/components/monitoring/dashboards/panels.js";
import { rawSettings } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

describe("dashboards", () => {
  it("have the nine panels of the secrets runtime, by their titles and in their order", () => {
    const secrets = dashboards.find(({ uid }) => uid === "tokenshield-secrets");
    assert.deepEqual(
      secrets?.panels.map(({ title }) => title),
      [
        "Secret Access Rate",
        "Secret Access Latency (p95)",
        "Cache Hit Rate",
        "Secret Rotation Success Rate",
        "Secret Access Errors",
        "Rotation Duration (p95)",
        "Active Rotation Jobs",
        "Secrets Watched",
        "Secret Cache Size",
      ],
    );
  });

  it("ask for metrics of the catalogue alone", () => {
    for (const { title, queries } of dashboards.flatMap(({ panels }) => panels)) {
      for (const { expr } of queries) {
        assert.ok(metricsOf(expr).length > 0, `${title}: ${expr}`);
        const words = [
          ...expr
            .replaceAll(/"[^"]*"|\{\{.*?\}\}/g, "")
            .matchAll(/\b(?:secret|secrets|tokenshield|mysql_agent|haproxy|rotation)_[a-z_]+\b/g),
        ];
        const labels = ["secret_key"];
        for (const [word] of words.filter(([one]) => !labels.includes(one))) {
          assert.ok(Object.hasOwn(metrics, word), `${title}: ${word}`);
        }
      }
    }
  });

  it("place every panel inside the grid and none over another", () => {
    for (const plan of dashboards) {
      const taken = new Set<string>();
      const { panels = [] } = dashboardOf(plan);
      assert.equal(panels.length, plan.panels.length);
      for (const panel of panels) {
        assert.ok("gridPos" in panel && panel.gridPos);
        const { x, y, w } = panel.gridPos;
        assert.ok(x + w <= 24);
        assert.ok(!taken.has(`${x} ${y}`), `${plan.title}: two panels at ${x}, ${y}`);
        taken.add(`${x} ${y}`);
      }
    }
  });

  it("are handed to Grafana where a tenant asks for them", async () => {
    const { graph } = await built(rawSettings("production"));
    const map = graph.find(({ name }) => name === "monitoring-dashboards");
    const data = map?.inputs["data"] as Record<string, string>;
    assert.deepEqual(Object.keys(data).sort(), dashboards.map(({ uid }) => `${uid}.json`).sort());
    for (const [file, text] of Object.entries(data)) {
      assert.equal((JSON.parse(text) as { uid: string }).uid, file.replace(".json", ""));
    }
    const lab = await built(rawSettings("lab"));
    assert.equal(
      lab.graph.find(({ name }) => name === "monitoring-dashboards"),
      undefined,
    );
  });
});
