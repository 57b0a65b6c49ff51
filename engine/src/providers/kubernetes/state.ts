import { fromJson, isJsonMap, isMap, sameValue, toJson } from "../protocol/value.ts";
import type { Json, JsonMap, PropertyMap } from "../protocol/value.ts";
import { toManifest, toOutputs } from "./manifest.ts";

/** What the state keeps of an object besides its live fields, under the keys of the real provider. */
export interface ObjectState {
  /** Inputs of the last operation, in the clear. */
  readonly inputs: JsonMap;
  /** The live object as of the last operation, in the clear. */
  readonly live: JsonMap;
  /** Version with which the object was made. */
  readonly initialApiVersion: string;
  /** The manager that owns the applied fields; empty if the state says none. */
  readonly fieldManager: string;
}

/** Writes the properties that the state keeps: the live object, `__inputs`, `__initialApiVersion`, `__fieldManager`. */
export function writeState(
  inputs: PropertyMap,
  live: JsonMap,
  rest: Pick<ObjectState, "initialApiVersion" | "fieldManager">,
): PropertyMap {
  return {
    ...toOutputs(live, inputs),
    __inputs: inputs,
    __initialApiVersion: rest.initialApiVersion,
    __fieldManager: rest.fieldManager,
  };
}

/** Reads what `writeState` or the real provider wrote. */
export function readState(properties: PropertyMap): ObjectState {
  const {
    __inputs: inputs,
    __initialApiVersion: initialApiVersion,
    __fieldManager: fieldManager,
    ...live
  } = toManifest(properties);
  const apiVersion = live["apiVersion"];
  return {
    inputs: isJsonMap(inputs) ? inputs : {},
    live,
    initialApiVersion: textOr(initialApiVersion, textOr(apiVersion, "")),
    fieldManager: textOr(fieldManager, ""),
  };
}

function textOr(value: Json | undefined, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

/**
 * Inputs after a refresh: a field whose live value is as it was keeps its input (so that what the server writes in
 * another form, as `1` for `1000m`, is no drift); a field that changed takes its live value.
 * @param inputs the inputs of the last operation
 * @param before the live object as of the last operation
 * @param now the live object
 */
export function refreshInputs(inputs: PropertyMap, before: JsonMap, now: JsonMap): PropertyMap {
  const refreshed = refreshMap(toJson(inputs), before, now);
  return toOutputs(refreshed, inputs);
}

function refreshMap(inputs: JsonMap, before: JsonMap, now: JsonMap): JsonMap {
  const entries = Object.entries(inputs).flatMap(([key, input]): [string, Json][] => {
    const value = refreshValue(input, own(before, key), own(now, key));
    return value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(entries);
}

function refreshValue(input: Json, before: Json | undefined, now: Json | undefined): Json | undefined {
  if (before === undefined && now === undefined) {
    return input;
  }
  if (before !== undefined && now !== undefined && sameJson(before, now)) {
    return input;
  }
  if (now === undefined) {
    return undefined;
  }
  if (isJsonMap(input) && isJsonMap(now)) {
    return refreshMap(input, isJsonMap(before) ? before : {}, now);
  }
  if (Array.isArray(input) && Array.isArray(now) && Array.isArray(before)) {
    return refreshList(input as readonly Json[], before as readonly Json[], now as readonly Json[]);
  }
  return now;
}

/** Element by element, as long as the server keeps the number that the inputs have; else the live list. */
function refreshList(input: readonly Json[], before: readonly Json[], now: readonly Json[]): Json {
  if (input.length !== now.length || before.length !== now.length) {
    return now;
  }
  return input.map((element, index) => refreshValue(element, before[index], now[index]) ?? null);
}

function own(map: JsonMap, key: string): Json | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function sameJson(left: Json, right: Json): boolean {
  return sameValue(jsonAsProperty(left), jsonAsProperty(right));
}

function jsonAsProperty(value: Json): PropertyMap {
  return fromJson({ value });
}

/**
 * Inputs of an object that the program takes over (`import`, `get`): the live object without what only the server
 * writes.
 */
export function importedInputs(live: JsonMap): PropertyMap {
  const outputs = toOutputs(live, {});
  const metadata = isMap(outputs["metadata"]) ? outputs["metadata"] : {};
  const served = ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "selfLink"];
  const annotations = isMap(metadata["annotations"]) ? metadata["annotations"] : {};
  const written = ["deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"];
  const kept = Object.entries(annotations).filter(([key]) => !written.includes(key));
  const rest = Object.entries(outputs).filter(([key]) => key !== "status");
  return {
    ...Object.fromEntries(rest),
    metadata: {
      ...Object.fromEntries(Object.entries(metadata).filter(([key]) => !served.includes(key) && key !== "annotations")),
      ...(kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }),
    },
  };
}
