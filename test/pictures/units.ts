/** Numbers as people read them, by the units of panels (Grafana's words). */

const prefixes = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** At most three digits that mean something: `1.25k`, `0.4`, `12`. */
function short(value: number): string {
  const [size, letter] = prefixes.find(([least]) => Math.abs(value) >= least) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${letter}`;
}

function duration(seconds: number): string {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1) return `${short(seconds * 1000)} ms`;
  if (size < 120) return `${short(seconds)} s`;
  if (size < 7200) return `${short(seconds / 60)} min`;
  return size < 172_800 ? `${short(seconds / 3600)} h` : `${short(seconds / 86_400)} d`;
}

/**
 * @param unit unit of a panel: `s`, `percentunit` (1 is 100 %), `reqps`, `short`
 * @returns the value with its unit
 */
export function written(value: number, unit: string): string {
  if (!Number.isFinite(value)) return "–";
  switch (unit) {
    case "s":
      return duration(value);
    case "percentunit":
      return `${Number((value * 100).toPrecision(4))} %`;
    case "reqps":
      return `${short(value)}/s`;
    default:
      return short(value);
  }
}

/** @returns marks of an axis from 0 (or below) to the highest value, three to six, at round numbers, in order */
export function marks(lowest: number, highest: number): readonly number[] {
  const from = Math.min(0, lowest);
  const span = highest > from ? highest - from : 1;
  const rough = span / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((one) => one >= rough) ?? size * 10;
  const first = Math.floor(from / step) * step;
  const count = Math.ceil((Math.max(highest, from + span) - first) / step);
  return Array.from({ length: count + 1 }, (_, index) => Number((first + index * step).toPrecision(12)));
}
