import type { PodTemplate } from "../../model/pod-template.ts";
import type { View } from "../../model/view.ts";

/** The values of an environment variable in a pod's containers. */
export function variables({ containers }: PodTemplate, name: string): View[] {
  return containers
    .flatMap(({ view }) => view.at("env").items)
    .filter((variable) => variable.at("name").text === name)
    .map((variable) => variable.at("value"));
}

const units: Readonly<Record<string, number>> = { ms: 1 / 60_000, s: 1 / 60, m: 1, h: 60, d: 1440 };

/** A duration such as `15m` in minutes; undefined where it isn't one. Milliseconds without a unit. */
export function minutes(text: string | undefined): number | undefined {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)?$/.exec(text ?? "") ?? [];
  return count === undefined ? undefined : Number(count) * (units[unit ?? "ms"] ?? 0);
}
