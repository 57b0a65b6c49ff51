import assert from "node:assert/strict";
import { figures, type Health, isHealthy, renderHealth } from "../../../lab/src/platform-status.ts";
import { metricsOf } from "../../../bin/components/monitoring/alerts/page.js";

const figure = (title: string): (typeof figures)[number] => {
  const found = figures.find((one) => one.title === title);
  assert.ok(found, title);
  return found;
};

const quiet: Health = {
  samples: [
    [
      figure("targets up"),
      [
        { labels: { job: "tokenizer" }, value: 2 },
        { labels: { job: "database" }, value: 3 },
      ],
    ],
    [figure("targets down"), []],
    [
      figure("database role"),
      [{ labels: { tenant: "acme", pod: "tokenshield-database-0", role: "primary" }, value: 1 }],
    ],
    [figure("p95"), [{ labels: { tenant: "acme", plane: "http" }, value: 0.0123 }]],
  ],
  alerts: [],
};

describe("the platform's status", () => {
  it("has a line for each value, its title in the first", () => {
    assert.deepEqual(renderHealth(quiet).split("\n"), [
      "targets up        database  3",
      "                  tokenizer  2",
      "database role     acme tokenshield-database-0 primary",
      "p95               acme http  12.3 ms",
      "",
      "no alert fires",
      "",
    ]);
    assert.ok(isHealthy(quiet));
  });

  it("lists what fires, and isn't good where that is critical or a target is down", () => {
    const alert = { name: "DatabaseNoPrimary", severity: "critical", summary: "acme: no member takes writes" };
    const bad = { ...quiet, alerts: [alert] };
    assert.match(renderHealth(bad), /^alerts\ncritical {2}DatabaseNoPrimary: acme: no member takes writes$/m);
    assert.ok(!isHealthy(bad));
    assert.ok(isHealthy({ ...quiet, alerts: [{ ...alert, severity: "warning" }] }));
    const down = [figure("targets down"), [{ labels: { job: "vault" }, value: 1 }]] as const;
    assert.ok(!isHealthy({ ...quiet, samples: [...quiet.samples, down] }));
  });

  it("asks for metrics that somebody serves", () => {
    for (const { title, query } of figures) assert.ok(metricsOf(query).length > 0, title);
  });
});
