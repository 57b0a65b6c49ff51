/** Draws every dashboard from the lab's Prometheus into docs/dashboards, as SVG. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { dashboards } from "../../bin/components/monitoring/dashboards/boards.js";
import type { PanelPlan } from "../../bin/components/monitoring/dashboards/panels.js";
import { type DrawnPanel, lineName, picture, type Span } from "../pictures/picture.ts";
import { PrometheusClient } from "../lab/support/prometheus.ts";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "15" }, help: { type: "boolean" } } });
if (values.help === true) {
  process.stdout.write("usage: npm run soak -- pictures [--minutes N]   (default 15; the platform on the lab is up)\n");
} else {
  await draw(Number(values.minutes));
}

async function draw(minutes: number): Promise<void> {
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 1440) {
    throw new Error("--minutes: expected a whole number from 1 to 1440");
  }
  const folder = join(dirname(dirname(import.meta.dirname)), "docs/dashboards");
  mkdirSync(folder, { recursive: true });
  const client = await PrometheusClient.of("monitoring");
  const end = Math.floor(Date.now() / 1000);
  const span = { start: end - minutes * 60, end };
  let empty = 0;
  for (const plan of dashboards) {
    const panels = await Promise.all(plan.panels.map((panel) => drawn(client, panel, span)));
    const without = panels.filter(({ lines }) => lines.length === 0).map((panel) => panel.plan.title);
    empty += without.length;
    const file = join(folder, `${plan.uid}.svg`);
    writeFileSync(file, picture(plan, panels, span));
    process.stdout.write(`${file}${without.length === 0 ? "" : `, without series: ${without.join(", ")}`}\n`);
  }
  process.stdout.write(`${dashboards.length} dashboards, ${empty} panels without series\n`);
}

/** As Grafana asks: a point each thirtieth part of a panel, and rates over four scrapes at least. */
async function drawn(client: PrometheusClient, plan: PanelPlan, { start, end }: Span): Promise<DrawnPanel> {
  const step = Math.max(15, Math.round((end - start) / 60));
  const lines = await Promise.all(
    plan.queries.map(async ({ expr, legend }) => {
      const curves = await client.curves(expr.replaceAll("$__rate_interval", "2m"), start, end, step);
      return curves.map(({ labels, points }) => ({ name: lineName(legend, labels), points }));
    }),
  );
  return { plan, lines: lines.flat() };
}
