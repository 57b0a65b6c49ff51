import {
  isList,
  isMap,
  Output,
  ResourceReference,
  Secret,
  Unknown,
  type PropertyMap,
  type PropertyValue,
} from "./value.ts";

/** Equality as the CLI sees it: a null and an absent property are the same, two unknowns are equal. */
export function equalMaps(left: PropertyMap, right: PropertyMap): boolean {
  for (const [key, value] of Object.entries(left)) {
    const other = right[key];
    if (other === undefined ? value !== null : !equalValues(value, other)) return false;
  }
  return Object.entries(right).every(([key, value]) => left[key] !== undefined || value === null);
}

/** Equality of two values; see {@link equalMaps}. */
export function equalValues(left: PropertyValue, right: PropertyValue): boolean {
  if (isList(left)) {
    return (
      isList(right) &&
      left.length === right.length &&
      left.every((value, index) => equalValues(value, right[index] ?? null))
    );
  }
  if (left instanceof Secret) return right instanceof Secret && equalValues(left.element, right.element);
  if (left instanceof Unknown) return right instanceof Unknown;
  if (left instanceof ResourceReference) {
    return (
      right instanceof ResourceReference &&
      left.urn === right.urn &&
      (left.id === right.id || (left.id instanceof Unknown && right.id instanceof Unknown))
    );
  }
  if (left instanceof Output) {
    return (
      right instanceof Output &&
      left.known === right.known &&
      left.secret === right.secret &&
      left.dependencies.length === right.dependencies.length &&
      left.dependencies.every((urn, index) => urn === right.dependencies[index]) &&
      equalValues(left.element, right.element)
    );
  }
  if (isMap(left)) return isMap(right) && equalMaps(left, right);
  return left === right;
}
