/**
 * Property values as providers see them: plain JSON, plus secrets, unknowns, assets and resource references.
 * Source: pulumi/pulumi `sdk/go/common/resource/properties.go` and `proto/pulumi/provider.proto`.
 */
export type PropertyValue =
  null | boolean | number | string | readonly PropertyValue[] | PropertyMap | Secret | Unknown | Asset;

/** An object of property values; keys keep their order. */
export interface PropertyMap {
  readonly [key: string]: PropertyValue;
}

/** What JSON can say: a property value without secrets, unknowns and assets. */
export type Json = null | boolean | number | string | readonly Json[] | JsonMap;
/** A JSON object. */
export interface JsonMap {
  readonly [key: string]: Json;
}

/** A secret value. It never prints: text and JSON forms are masked. */
export class Secret {
  readonly #value: PropertyValue;
  constructor(value: PropertyValue) {
    this.#value = value;
  }
  /** @returns the value in the clear */
  reveal(): PropertyValue {
    return this.#value;
  }
  toString(): string {
    return "[secret]";
  }
  toJSON(): string {
    return "[secret]";
  }
}

/** A value that only an update will know. There is one instance, `UNKNOWN`. */
export class Unknown {
  readonly kind = "unknown";
}
/** The unknown value. */
export const UNKNOWN: Unknown = new Unknown();

/** A file, text or address that the program passes by reference, as on the wire. */
export class Asset {
  readonly type: "asset" | "archive";
  readonly fields: PropertyMap;
  constructor(type: "asset" | "archive", fields: PropertyMap) {
    this.type = type;
    this.fields = fields;
  }
}

/** @returns true for a plain object of properties */
export function isMap(value: PropertyValue | undefined): value is PropertyMap {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isSpecial(value);
}

/** @returns true for an array of properties */
export function isList(value: PropertyValue | undefined): value is readonly PropertyValue[] {
  return Array.isArray(value);
}

/** @returns JSON as properties: every JSON object is one, though the types of their members differ */
export function fromJson(map: JsonMap): PropertyMap {
  return map;
}

/** @returns true for a JSON object */
export function isJsonMap(value: Json | undefined): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSpecial(value: object): boolean {
  return value instanceof Secret || value instanceof Unknown || value instanceof Asset;
}

/** Replaces each secret by its value, at every depth. The result must not be logged or returned. */
export function withoutSecrets(value: PropertyValue): PropertyValue {
  if (value instanceof Secret) {
    return withoutSecrets(value.reveal());
  }
  if (isList(value)) {
    return value.map(withoutSecrets);
  }
  return isMap(value) ? mapValues(value, withoutSecrets) : value;
}

/** Applies `change` to each property of a map. */
export function mapValues(map: PropertyMap, change: (value: PropertyValue) => PropertyValue): PropertyMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

/** @returns true if a secret lies anywhere in the value */
export function containsSecret(value: PropertyValue): boolean {
  return contains(value, (inner) => inner instanceof Secret);
}

/** @returns true if an unknown lies anywhere in the value, inside secrets too */
export function containsUnknown(value: PropertyValue): boolean {
  return contains(value, (inner) => inner instanceof Unknown);
}

function contains(value: PropertyValue, found: (value: PropertyValue) => boolean): boolean {
  if (found(value)) {
    return true;
  }
  if (value instanceof Secret) {
    return contains(value.reveal(), found);
  }
  if (isList(value)) {
    return value.some((inner) => contains(inner, found));
  }
  return isMap(value) && Object.values(value).some((inner) => contains(inner, found));
}

/**
 * @returns the map as JSON, secrets in the clear
 * @throws Error if an unknown or an asset is in it
 */
export function toJson(map: PropertyMap): JsonMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, jsonOf(value, key)]));
}

function jsonOf(value: PropertyValue, path: string): Json {
  if (value instanceof Secret) {
    return jsonOf(value.reveal(), path);
  }
  if (value instanceof Unknown || value instanceof Asset) {
    throw new Error(`property ${path}: expected a known plain value`);
  }
  if (isList(value)) {
    return value.map((inner, index) => jsonOf(inner, `${path}[${index}]`));
  }
  if (isMap(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(inner, `${path}.${key}`)]));
  }
  return value;
}

/**
 * Copies the secretness of `from` to the same paths of `to`. Where both have objects, it goes down; where a value of
 * `from` contains a secret otherwise (an array, say), the whole value of `to` becomes a secret, since order may differ.
 */
export function annotateSecrets(to: PropertyMap, from: PropertyMap): PropertyMap {
  return Object.fromEntries(
    Object.entries(to).map(([key, value]): [string, PropertyValue] => {
      const origin = Object.hasOwn(from, key) ? from[key] : undefined;
      if (origin === undefined || value instanceof Secret || !containsSecret(origin)) {
        return [key, value];
      }
      return [key, isMap(value) && isMap(origin) ? annotateSecrets(value, origin) : new Secret(value)];
    }),
  );
}

/** Deep equality of values, blind to secretness and to the order of keys. An unknown equals nothing. */
export function sameValue(left: PropertyValue, right: PropertyValue): boolean {
  if (left instanceof Secret) {
    return sameValue(left.reveal(), right);
  }
  if (right instanceof Secret) {
    return sameValue(left, right.reveal());
  }
  if (left instanceof Unknown || right instanceof Unknown) {
    return false;
  }
  if (left instanceof Asset || right instanceof Asset) {
    return left instanceof Asset && right instanceof Asset && sameAsset(left, right);
  }
  if (isList(left) && isList(right)) {
    return left.length === right.length && left.every((value, index) => sameValue(value, right[index] ?? null));
  }
  if (isMap(left) && isMap(right)) {
    const keys = Object.keys(left);
    return (
      keys.length === Object.keys(right).length &&
      keys.every((key) => Object.hasOwn(right, key) && sameValue(left[key] ?? null, right[key] ?? null))
    );
  }
  return left === right;
}

function sameAsset(left: Asset, right: Asset): boolean {
  return left.type === right.type && sameValue(left.fields, right.fields);
}
