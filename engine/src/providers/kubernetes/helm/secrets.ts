import { Secret, isList, isMap, mapValues, withoutSecrets } from "../../protocol/value.ts";
import type { PropertyMap, PropertyValue } from "../../protocol/value.ts";

/** Shorter texts would be found everywhere. */
const shortest = 4;

/** @returns the secret texts among a chart's inputs, plain and in base64, as templates write them */
export function secretTexts(inputs: PropertyMap): readonly string[] {
  const found = new Set<string>();
  const collect = (value: PropertyValue, within: "secret" | "plain"): void => {
    if (value instanceof Secret) {
      collect(withoutSecrets(value.reveal()), "secret");
    } else if (isList(value)) {
      value.forEach((inner) => {
        collect(inner, within);
      });
    } else if (isMap(value)) {
      Object.values(value).forEach((inner) => {
        collect(inner, within);
      });
    } else if (within === "secret" && typeof value === "string" && value.length >= shortest) {
      found.add(value);
      found.add(Buffer.from(value).toString("base64"));
    }
  };
  collect(inputs, "plain");
  return [...found];
}

/** @returns an object in which each text that has a secret text in it is a secret */
export function withSecrets(object: PropertyMap, secrets: readonly string[]): PropertyMap {
  return secrets.length === 0 ? object : mapValues(object, (value) => marked(value, secrets));
}

function marked(value: PropertyValue, secrets: readonly string[]): PropertyValue {
  if (typeof value === "string") {
    return secrets.some((secret) => value.includes(secret)) ? new Secret(value) : value;
  }
  if (isList(value)) {
    return value.map((inner) => marked(inner, secrets));
  }
  return isMap(value) ? mapValues(value, (inner) => marked(inner, secrets)) : value;
}
