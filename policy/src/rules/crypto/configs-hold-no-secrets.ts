import { resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";
import { literalSecret, namesSecret } from "../secret-text.ts";
import { configTypes } from "./config-text.ts";

const charts = ["kubernetes:helm.sh/v4:Chart", "kubernetes:helm.sh/v3:Release"];

export const configsHoldNoSecrets = resourceRule({
  name: "configs-hold-no-secrets",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.2", "8.3.2", "8.6.2"],
  cis: ["5.4.1"],
  description: "No ConfigMap and no chart's values must hold a password, key or token.",
  remediation: "Generate it as a rotation class's value; name the file or the existing Secret instead.",
  types: [...configTypes, ...charts],
  check: (config, report) => {
    const places = charts.includes(config.resource.type)
      ? [config.at("values")]
      : [config.at("data"), config.at("binaryData")];
    for (const [key, at] of places.flatMap((place) => [...leaves(place)])) {
      const { text } = at;
      if (text === undefined || text === "") continue;
      const kind = namesSecret(key) && !/^[./]|^https?:/.test(text) ? "a secret by its name" : literalSecret(text);
      if (kind !== undefined) report(at, `must not hold ${kind}`);
    }
  },
});

/** The texts below a place, each with the name of the field that holds it. */
function* leaves(place: View, name = ""): Generator<readonly [key: string, at: View]> {
  if (place.text !== undefined) yield [name, place];
  for (const item of place.items) yield* leaves(item, name);
  for (const [key, field] of place.fields) yield* leaves(field, key);
}
