import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  type Panel,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** A query of a panel, and the name of each of its lines: `{{tenant}}`. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

/** One panel, as a dashboard lists it. */
export interface PanelPlan {
  readonly title: string;
  /** Unit in Grafana's words: `reqps`, `percentunit`, `s`, `short`. */
  readonly unit: string;
  readonly kind: "lines" | "figure";
  readonly queries: readonly Query[];
  /** What it shows, in a sentence. */
  readonly about: string;
}

/** One dashboard. Its uid is a contract: people keep links to it. */
export interface DashboardPlan {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly PanelPlan[];
}

/** Makes a panel of lines. */
export function lines(title: string, unit: string, about: string, ...queries: readonly Query[]): PanelPlan {
  return { title, unit, kind: "lines", queries, about };
}

/** Makes a panel of one figure a series. */
export function figure(title: string, unit: string, about: string, ...queries: readonly Query[]): PanelPlan {
  return { title, unit, kind: "figure", queries, about };
}

/** Grafana's data source is chosen by whoever imports; the variable has Prometheus' default one. */
const source = { type: "prometheus", uid: "${datasource}" } as const;

/** Panels a row, and the grid's width and a panel's height in Grafana's units. */
const columns = 3;
const grid = { width: 24, height: 8 } as const;

function panelOf(plan: PanelPlan, index: number): Panel {
  const builder = plan.kind === "lines" ? new TimeseriesBuilder() : new StatBuilder();
  builder.title(plan.title).description(plan.about).unit(plan.unit).datasource(source);
  builder.id(index + 1).gridPos({
    x: (index % columns) * (grid.width / columns),
    y: Math.floor(index / columns) * grid.height,
    w: grid.width / columns,
    h: grid.height,
  });
  for (const [at, { expr, legend }] of plan.queries.entries()) {
    builder.withTarget(
      new DataqueryBuilder()
        .expr(expr)
        .legendFormat(legend)
        .refId(String.fromCharCode(65 + at))
        .datasource(source),
    );
  }
  return builder.build();
}

/** The dashboard as Grafana imports it. */
export function dashboardOf({ uid, title, panels }: DashboardPlan): Dashboard {
  const board = new DashboardBuilder(title)
    .uid(uid)
    .tags(["tokenshield"])
    .timezone("utc")
    .refresh("1m")
    .time({ from: "now-6h", to: "now" })
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .withVariable(new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"))
    .build();
  return { ...board, panels: panels.map(panelOf) };
}
