import { parsePath } from "../protocol/diff.ts";
import type { PathStep } from "../protocol/diff.ts";
import { isJsonMap } from "../protocol/value.ts";
import type { Json, JsonMap } from "../protocol/value.ts";
import { at, mapAt, objectsAt, textAt, withAt } from "./api/object.ts";

/** Managers of client-side writers whose fields this provider takes over, as the real provider does. */
const adopted = [
  "kubectl",
  "before-first-apply",
  "pulumi-kubernetes",
  "pulumi-kubernetes.exe",
  "pulumi-resource-kubernetes",
];

/** @returns true if the manager has created or applied the object */
export function isManagedBy(live: Json, manager: string): boolean {
  return objectsAt(live, "metadata", "managedFields").some((entry) => textAt(entry, "manager") === manager);
}

/**
 * A JSON patch (RFC 6902) that hands the fields of client-side writers to `manager`, so that a field which an update
 * drops goes away and no conflict arises with an earlier life of this resource. Empty if there is nothing to hand over.
 */
export function takeOver(live: JsonMap, manager: string): readonly Json[] {
  const entries = objectsAt(live, "metadata", "managedFields");
  const taken = entries.filter((entry) => isAdopted(entry, manager));
  if (taken.length === 0) {
    return [];
  }
  const mine = entries.filter(
    (entry) => textAt(entry, "manager") === manager && textAt(entry, "operation") === "Apply",
  );
  const others = entries.filter((entry) => !taken.includes(entry) && !mine.includes(entry));
  const fieldsV1 = [...mine, ...taken].map((entry) => mapAt(entry, "fieldsV1")).reduce(union, {});
  const { apiVersion = "v1" } = taken[0] ?? {};
  const entry = { manager, operation: "Apply", apiVersion, fieldsType: "FieldsV1", fieldsV1 };
  return [
    { op: "test", path: "/metadata/resourceVersion", value: textAt(live, "metadata", "resourceVersion") },
    { op: "replace", path: "/metadata/managedFields", value: [...others, entry] },
  ];
}

function isAdopted(entry: JsonMap, manager: string): boolean {
  const [name, operation] = [textAt(entry, "manager"), textAt(entry, "operation")];
  if (textAt(entry, "subresource") !== "") {
    return false;
  }
  if (operation === "Update") {
    return adopted.includes(name) || name === manager;
  }
  return operation === "Apply" && name === "kubectl";
}

/** The union of two sets in the FieldsV1 format (structured-merge-diff). */
function union(left: JsonMap, right: JsonMap): JsonMap {
  return Object.entries(right).reduce<JsonMap>((sum, [key, value]) => {
    const own = sum[key];
    return { ...sum, [key]: isJsonMap(own) && isJsonMap(value) ? union(own, value) : value };
  }, left);
}

/**
 * What to apply when changes of some paths are ignored: a field that another manager owns alone is left out, so that
 * it stays his (an autoscaler's `spec.replicas`); any other keeps the value that the cluster has.
 */
export function withoutIgnored(
  manifest: JsonMap,
  live: JsonMap,
  manager: string,
  ignoreChanges: readonly string[],
): JsonMap {
  return ignoreChanges.reduce<JsonMap>((result, ignored) => {
    const path = parsePath(ignored);
    if (!isKeys(path)) {
      // Elements of lists are matched by their keys, not their places: the engine has put the old input there.
      return result;
    }
    const owners = ownersOf(live, path);
    if (owners.length > 0 && !owners.includes(manager)) {
      return withAt(result, path, undefined);
    }
    const value = at(live, ...path);
    return value === undefined ? result : withAt(result, path, value);
  }, manifest);
}

function isKeys(path: readonly PathStep[]): path is readonly string[] {
  return path.every((step) => typeof step === "string" && step !== "*");
}

function ownersOf(live: JsonMap, path: readonly string[]): readonly string[] {
  const keys = path.map((key) => `f:${key}`);
  return objectsAt(live, "metadata", "managedFields")
    .filter((entry) => at(entry, "fieldsV1", ...keys) !== undefined)
    .map((entry) => textAt(entry, "manager"));
}
