import type { View } from "../../model/view.ts";

/** The types whose texts configure programs. */
export const configTypes = ["kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:ConfigMapPatch"] as const;

/** The files in a ConfigMap, by name. */
export function files(config: View): readonly (readonly [name: string, content: View])[] {
  return config.at("data").fields;
}

/** The lines of a file without comments and blank ones. */
export function lines(content: View): string[] {
  return (content.text ?? "")
    .split("\n")
    .map((line) => line.replace(/(^|\s)[#;].*$/, "").trim())
    .filter((line) => line !== "");
}
