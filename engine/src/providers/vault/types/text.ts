import type { JsonMap } from "../../protocol/value.ts";

/** @returns the text of an input or output, or the default where there is none */
export function textOf(map: JsonMap, key: string, otherwise = ""): string {
  const value = map[key];
  return typeof value === "string" && value !== "" ? value : otherwise;
}

/** @returns the outputs of an answer under Pulumi's names, those that are there */
export function renamed(answer: JsonMap, names: Readonly<Record<string, string>>): JsonMap {
  return Object.fromEntries(
    Object.entries(names).flatMap(([wire, name]) => {
      const value = answer[wire];
      return value === undefined || value === null ? [] : [[name, value]];
    }),
  );
}
