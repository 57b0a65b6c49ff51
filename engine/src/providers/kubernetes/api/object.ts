import { isJsonMap } from "../../protocol/value.ts";
import type { Json, JsonMap } from "../../protocol/value.ts";

/** Group, version and kind of an object; the core group is the empty text. */
export interface ObjectKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** @returns the value at a path of keys, or undefined */
export function at(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, step) => {
    if (typeof step === "number") {
      return Array.isArray(inner) ? (inner as readonly Json[])[step] : undefined;
    }
    return isJsonMap(inner) && Object.hasOwn(inner, step) ? inner[step] : undefined;
  }, value);
}

/** @returns the text at a path, or the empty text */
export function textAt(value: Json | undefined, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === "string" ? found : "";
}

/** @returns the number at a path, or undefined */
export function numberAt(value: Json | undefined, ...path: readonly (string | number)[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === "number" ? found : undefined;
}

/** @returns the list of objects at a path, or an empty one */
export function objectsAt(value: Json | undefined, ...path: readonly (string | number)[]): readonly JsonMap[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? (found as readonly Json[]).filter(isJsonMap) : [];
}

/** @returns the object at a path, or an empty one */
export function mapAt(value: Json | undefined, ...path: readonly (string | number)[]): JsonMap {
  const found = at(value, ...path);
  return isJsonMap(found) ? found : {};
}

/** @returns a copy in which the value at a path of keys is set, or removed if undefined; missing maps are made */
export function withAt(map: JsonMap, path: readonly string[], value: Json | undefined): JsonMap {
  const [key, ...rest] = path;
  if (key === undefined) {
    return map;
  }
  if (rest.length > 0) {
    const inner = map[key];
    if (!isJsonMap(inner) && value === undefined) {
      return map;
    }
    return { ...map, [key]: withAt(isJsonMap(inner) ? inner : {}, rest, value) };
  }
  if (value !== undefined) {
    return { ...map, [key]: value };
  }
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key));
}

/** @returns group, version and kind as the object says them */
export function kindOf(object: Json): ObjectKind {
  return { ...parseApiVersion(textAt(object, "apiVersion")), kind: textAt(object, "kind") };
}

/** Reads `apps/v1` or `v1`; Pulumi's tokens say `core/v1` for the latter. */
export function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const [first = "", second] = apiVersion.split("/");
  if (second === undefined) {
    return { group: "", version: first };
  }
  return { group: first === "core" ? "" : first, version: second };
}

/** @returns `apps/v1` or `v1` */
export function apiVersionOf({ group, version }: Omit<ObjectKind, "kind">): string {
  return group === "" ? version : `${group}/${version}`;
}

export function nameOf(object: Json): string {
  return textAt(object, "metadata", "name");
}

export function namespaceOf(object: Json): string {
  return textAt(object, "metadata", "namespace");
}

export function uidOf(object: Json): string {
  return textAt(object, "metadata", "uid");
}

/** @returns the annotation's text, or the empty text */
export function annotationOf(object: Json, name: string): string {
  return textAt(object, "metadata", "annotations", name);
}

/** Annotations that steer the provider (pulumi-kubernetes `metadata/annotations.go`). */
export const annotations = {
  autonamed: "pulumi.com/autonamed",
  skipAwait: "pulumi.com/skipAwait",
  waitFor: "pulumi.com/waitFor",
  timeoutSeconds: "pulumi.com/timeoutSeconds",
  replaceUnready: "pulumi.com/replaceUnready",
  patchForce: "pulumi.com/patchForce",
  patchFieldManager: "pulumi.com/patchFieldManager",
  deletionPropagation: "pulumi.com/deletionPropagationPolicy",
} as const;

/** @returns the id of an object in the state: `namespace/name`, or the name of one without a namespace */
export function idOf(object: Json): string {
  const namespace = namespaceOf(object);
  return namespace === "" ? nameOf(object) : `${namespace}/${nameOf(object)}`;
}

/** Reads an id; the namespace is empty for objects without one. */
export function parseId(id: string): { readonly namespace: string; readonly name: string } {
  const [first = "", second] = id.split("/");
  return second === undefined ? { namespace: "", name: first } : { namespace: first, name: second };
}

/** @returns true if one of the owner references of an object names the owner */
export function isOwnedBy(object: Json, owner: Json): boolean {
  return objectsAt(object, "metadata", "ownerReferences").some(
    (reference) => textAt(reference, "uid") === uidOf(owner),
  );
}

/** @returns the condition of a type in `.status.conditions`, or undefined */
export function conditionOf(object: Json, type: string): JsonMap | undefined {
  return objectsAt(object, "status", "conditions").find((condition) => textAt(condition, "type") === type);
}

/** @returns true for `apiextensions.k8s.io` CustomResourceDefinition */
export function isCustomResourceDefinition(object: Json): boolean {
  const { group, kind } = kindOf(object);
  return group === "apiextensions.k8s.io" && kind === "CustomResourceDefinition";
}
