import type { DashboardPlan, PanelPlan } from "../../bin/components/monitoring/dashboards/panels.js";
import { marks, written } from "./units.ts";

/** A line of a panel: its name, and values by seconds since the epoch. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

/** What a panel shows; for one of figures the last value of each line. */
export interface DrawnPanel {
  readonly plan: PanelPlan;
  readonly lines: readonly Line[];
}

/** The time that a picture shows, in seconds since the epoch. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const columns = 3;
const panelSize = { width: 400, height: 256 } as const;
const gap = 10;
const plot = { left: 62, right: 12, top: 34, height: 130 } as const;
const legendLines = 4;
const colours = ["#1f60c4", "#c4162a", "#37872d", "#e0752d", "#8f3bb8", "#0a8f9c", "#b8860b", "#6e6e6e"];

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
const cut = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const round = (value: number): string => Number(value.toFixed(1)).toString();

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped(content)}</text>`;
}

/** One dashboard as an SVG document, its panels in the places that Grafana gives them. */
export function picture({ title }: Pick<DashboardPlan, "title">, panels: readonly DrawnPanel[], span: Span): string {
  const rows = Math.ceil(panels.length / columns);
  const width = columns * (panelSize.width + gap) + gap;
  const height = 40 + rows * (panelSize.height + gap);
  const drawn = panels.map((panel, index) => {
    const x = gap + (index % columns) * (panelSize.width + gap);
    const y = 36 + Math.floor(index / columns) * (panelSize.height + gap);
    return `<g transform="translate(${x} ${y})">\n${drawPanel(panel, span).join("\n")}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="11" fill="#24292e">`,
    `<rect width="${width}" height="${height}" fill="#f4f5f5"/>`,
    text(gap, 24, title, 'font-size="17" font-weight="bold"'),
    text(width - gap, 24, `${((span.end - span.start) / 60).toFixed(0)} minutes on the lab`, 'text-anchor="end"'),
    ...drawn,
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel({ plan, lines }: DrawnPanel, span: Span): string[] {
  const { width, height } = panelSize;
  const frame = [
    `<rect width="${width}" height="${height}" rx="3" fill="#ffffff" stroke="#d8d9da"/>`,
    text(10, 20, plan.title, 'font-size="13" font-weight="bold"'),
  ];
  if (lines.length === 0) {
    return [
      ...frame,
      text(width / 2, height / 2, "no series: nothing of it happened", 'text-anchor="middle" fill="#8e8e8e"'),
    ];
  }
  return [...frame, ...(plan.kind === "figure" ? figures(plan, lines) : curves(plan, lines, span))];
}

/** The last value of each line, large where there is room. */
function figures({ unit }: PanelPlan, lines: readonly Line[]): string[] {
  const shown = lines.slice(0, 10);
  const size = shown.length > 4 ? 15 : 24;
  const step = (panelSize.height - 50) / Math.max(shown.length, 3);
  return shown.flatMap(({ name, points }, index) => {
    const y = 56 + index * step;
    const value = written(points.at(-1)?.[1] ?? Number.NaN, unit);
    return [
      text(20, y, cut(name, 40)),
      text(panelSize.width - 20, y, value, `text-anchor="end" font-size="${size}" font-weight="bold" fill="#1f60c4"`),
    ];
  });
}

function curves({ unit }: PanelPlan, lines: readonly Line[], { start, end }: Span): string[] {
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
  const axis = marks(Math.min(0, ...values), Math.max(...values, 0));
  const [low = 0, high = 1] = [axis[0], axis.at(-1)];
  const { width, height } = panelSize;
  const bottom = plot.top + plot.height;
  const x = (seconds: number): number =>
    plot.left + ((seconds - start) / (end - start)) * (width - plot.left - plot.right);
  const y = (value: number): number => bottom - ((value - low) / (high - low)) * plot.height;
  const grid = axis.flatMap((value) => [
    `<path d="M${plot.left} ${round(y(value))}H${width - plot.right}" stroke="#e6e7e8"/>`,
    text(plot.left - 6, y(value) + 4, written(value, unit), 'text-anchor="end" fill="#6e6e6e"'),
  ]);
  const clock = [start, (start + end) / 2, end].map((seconds, index) =>
    text(
      x(seconds),
      bottom + 15,
      new Date(seconds * 1000).toISOString().slice(11, 16),
      `text-anchor="${["start", "middle", "end"][index] ?? "middle"}" fill="#6e6e6e"`,
    ),
  );
  const drawn = lines.map(({ points }, index) => {
    const colour = colours[index % colours.length] ?? "";
    return `<path d="${path(points, x, y)}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
  });
  const legend = lines.slice(0, legendLines * 2).flatMap(({ name, points }, index) => {
    const left = 12 + (index % 2) * (width / 2 - 6);
    const top = bottom + 32 + Math.floor(index / 2) * 14;
    const last = written(points.at(-1)?.[1] ?? Number.NaN, unit);
    return [
      `<rect x="${round(left)}" y="${round(top - 8)}" width="9" height="9" fill="${colours[index % colours.length] ?? ""}"/>`,
      text(left + 13, top, `${cut(name, 22)}  ${last}`, 'font-size="10"'),
    ];
  });
  const more = lines.length - legendLines * 2;
  const rest = more > 0 ? [text(12, height - 5, `and ${more} more`, 'font-size="9" fill="#6e6e6e"')] : [];
  return [...grid, ...clock, ...drawn, ...legend, ...rest];
}

/** A path that is broken where a value is missing or none. */
function path(points: Line["points"], x: (seconds: number) => number, y: (value: number) => number): string {
  const usual = Math.min(...points.slice(1).map(([seconds], index) => seconds - (points[index]?.[0] ?? 0)));
  let before = -Infinity;
  return points
    .filter(([, value]) => Number.isFinite(value))
    .map(([seconds, value]) => {
      const joined = seconds - before <= usual * 1.5;
      before = seconds;
      const dot = points.length === 1 ? "h2" : "";
      return `${joined ? "L" : "M"}${round(x(seconds))} ${round(y(value))}${dot}`;
    })
    .join("");
}

/** The name of a line: `{{label}}` by what the series has; without any label, the legend as it is. */
export function lineName(legend: string, labels: Readonly<Record<string, string>>): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? "").trim();
}
