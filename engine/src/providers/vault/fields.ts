import { fromJson, isJsonMap, sameValue } from "../protocol/value.ts";
import type { Json, JsonMap, PropertyMap } from "../protocol/value.ts";

/** One input of a resource type: what it is, and what its change does. */
export interface Field {
  readonly kind: "text" | "number" | "flag" | "list" | "set" | "map" | "duration" | "json";
  /** Vault's name, where it isn't the input's in snake case; the empty text for an input that is not sent as such. */
  readonly wire?: string;
  /** A change replaces the resource. */
  readonly replaces?: true;
  /** Vault does not give it back, or not as it was sent: no drift is seen. */
  readonly unread?: true;
  /** Sent only when this other input changes, which counts its versions; its own change is no difference. */
  readonly writeOnlyWith?: string;
  readonly secret?: true;
}
/** The inputs of a resource type by Pulumi's names. */
export type Fields = Readonly<Record<string, Field>>;

/** Fields of one kind that need no more words. */
export function fields(kind: Field["kind"], names: string, more: Omit<Field, "kind"> = {}): Fields {
  return Object.fromEntries(names.split(" ").map((name) => [name, { kind, ...more }]));
}

/** @returns Vault's name of an input */
export function wireName(name: string, field: Field): string {
  return field.wire ?? name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What resets a field that the program dropped. */
const empty: Readonly<Record<Field["kind"], Json>> = {
  ...{ text: "", number: 0, flag: false, list: [], set: [], map: {}, duration: 0, json: "" },
};

/**
 * @param inputs of the resource, in the clear
 * @param dropped names of inputs that the resource had before and has no longer
 * @returns the body of a write; write-only inputs are not in it
 */
export function bodyOf(all: Fields, inputs: JsonMap, dropped: readonly string[] = []): JsonMap {
  const sent = Object.entries(all).filter(([, field]) => field.wire !== "" && field.writeOnlyWith === undefined);
  const entries = sent.flatMap(([name, field]): [string, Json][] => {
    const value = inputs[name];
    if (value !== undefined) {
      return [[wireName(name, field), value]];
    }
    return dropped.includes(name) ? [[wireName(name, field), empty[field.kind]]] : [];
  });
  return Object.fromEntries(entries);
}

/** @returns true if Vault's value says the same as the input */
export function sameField(field: Field, input: Json, live: Json | undefined): boolean {
  if (live === undefined || live === null) {
    return JSON.stringify(input) === JSON.stringify(empty[field.kind]);
  }
  if (field.kind === "duration") {
    return seconds(input) === seconds(live);
  }
  if (field.kind === "set") {
    return sorted(input) === sorted(live);
  }
  if (field.kind === "number" || field.kind === "flag") {
    return printed(input) === printed(live);
  }
  if (field.kind === "map" && isJsonMap(input) && isJsonMap(live)) {
    const keys = new Set([...Object.keys(input), ...Object.keys(live)]);
    return [...keys].every((key) => printed(input[key]) === printed(live[key]));
  }
  if (field.kind === "json") {
    return sameValue(parsed(input), parsed(live));
  }
  return sameValue(fromJson({ value: input }), fromJson({ value: live }));
}

function parsed(value: Json): PropertyMap {
  return fromJson({ value: JSON.parse(printed(value)) as Json });
}

/** @returns a text as it is, anything else as JSON: numbers and flags of Vault are texts at times */
export function printed(value: Json | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

function sorted(value: Json): string {
  const list = Array.isArray(value)
    ? (value as readonly Json[])
    : printed(value)
        .split(",")
        .filter((item) => item !== "");
  return JSON.stringify(list.map((item) => JSON.stringify(item)).sort());
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds of a duration as Vault takes it: a number, or texts such as `90s`, `1h30m`, `30d`. */
export function seconds(value: Json): number {
  if (typeof value === "number") {
    return value;
  }
  const text = typeof value === "string" ? value : "";
  if (/^\d+$/.test(text)) {
    return Number(text);
  }
  return [...text.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)].reduce(
    (sum, [, amount = "0", unit = "s"]) => sum + Number(amount) * (units[unit] ?? 1),
    0,
  );
}
