import { formatPath, isBelow, parsePath } from "../protocol/diff.ts";
import type { PathStep } from "../protocol/diff.ts";
import type { PropertyChange } from "../protocol/provider.ts";
import { UNKNOWN, Unknown, fromJson, isList, isMap, sameValue } from "../protocol/value.ts";
import type { Json, JsonMap, PropertyMap, PropertyValue } from "../protocol/value.ts";
import { touches } from "./immutable.ts";

/** One field that an update would change. */
export interface FieldChange {
  readonly path: readonly PathStep[];
  readonly change: "add" | "delete" | "update";
  /** What the field would become; undefined for a deletion or an unknown. */
  readonly value: Json | undefined;
}

/**
 * Compares an object's new inputs with what the cluster has. A field counts as changed if the program says something
 * else than it said before and the live object doesn't already say so; what only the server wrote is no difference.
 * @param inputs inputs of the last operation, or after a refresh
 * @param live the live object as of the last operation or refresh
 * @param news new inputs without secrets; unknowns count as changed
 * @param ignoreChanges property paths whose changes are left out
 */
export function changedFields(
  inputs: JsonMap,
  live: JsonMap,
  news: PropertyMap,
  ignoreChanges: readonly string[],
): readonly FieldChange[] {
  const ignored = ignoreChanges.map(parsePath);
  return changesOfMap(fromJson(inputs), fromJson(live), news, []).filter(
    ({ path }) => !ignored.some((prefix) => isBelow(path, prefix)),
  );
}

function changesOfMap(
  input: PropertyMap,
  live: PropertyMap,
  news: PropertyMap,
  path: readonly PathStep[],
): readonly FieldChange[] {
  const keys = new Set([...Object.keys(news), ...Object.keys(input)]);
  return [...keys].flatMap((key) => changes(own(input, key), own(live, key), own(news, key), [...path, key]));
}

function changes(
  input: PropertyValue | undefined,
  live: PropertyValue | undefined,
  next: PropertyValue | undefined,
  path: readonly PathStep[],
): readonly FieldChange[] {
  if (next === undefined) {
    return input === undefined || live === undefined ? [] : [{ path, change: "delete", value: undefined }];
  }
  if (next === UNKNOWN) {
    return [{ path, change: live === undefined ? "add" : "update", value: undefined }];
  }
  if (input !== undefined && sameValue(input, next)) {
    return [];
  }
  if (isMap(next) && isMap(live)) {
    return changesOfMap(isMap(input) ? input : {}, live, next, path);
  }
  if (isList(next) && isList(live)) {
    const before = isList(input) ? input : [];
    const length = Math.max(next.length, Math.min(live.length, before.length));
    return Array.from({ length }, (_, index) => index).flatMap((index) =>
      changes(before[index], live[index], next[index], [...path, index]),
    );
  }
  if (live !== undefined && sameValue(live, next)) {
    return [];
  }
  return [{ path, change: live === undefined ? "add" : "update", value: knownPart(next) }];
}

function own(map: PropertyMap, key: string): PropertyValue | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** The value with unknowns as nulls, for asking which paths it has. */
function knownPart(value: PropertyValue): Json {
  if (isList(value)) {
    return value.map(knownPart);
  }
  if (isMap(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, knownPart(inner)]));
  }
  return value instanceof Unknown ? null : (value as Json);
}

/** @returns the changes as the engine takes them, `-replace` where one touches an immutable path */
export function detailedDiff(
  found: readonly FieldChange[],
  immutable: readonly (readonly PathStep[])[],
): Map<string, { readonly change: PropertyChange; readonly inputDiff: boolean }> {
  return new Map(
    found.map(({ path, change, value }) => [
      formatPath(path),
      {
        change: touches(path, value, immutable) ? (`${change}-replace` as const) : change,
        inputDiff: change === "delete",
      },
    ]),
  );
}
