import { Secret, annotateSecrets, fromJson, isJsonMap, isList, isMap, mapValues, toJson } from "../protocol/value.ts";
import type { Json, JsonMap, PropertyMap, PropertyValue } from "../protocol/value.ts";
import { withAt } from "./api/object.ts";

/** Keys of OpenAPI extensions: Pulumi's SDKs write them with underscores. */
const dashed: Readonly<Record<string, string>> = Object.fromEntries(
  [
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
  ].map((key) => [key.replaceAll("-", "_"), key]),
);
const underscored: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(dashed).map(([underscore, dash]) => [dash, underscore]),
);

/** Fields that only the server writes, taken out of inputs. */
const readOnlyMetadata = [
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "uid",
];

/** @returns inputs without the fields that only the server writes, and without nulls, which Kubernetes drops */
export function normalizeInputs(inputs: PropertyMap): PropertyMap {
  const { metadata: given, ...rest } = withoutNulls(inputs);
  const metadata = given instanceof Secret ? secretMembers(given) : given;
  if (!isMap(metadata)) {
    return metadata === undefined ? rest : { ...rest, metadata };
  }
  const kept = Object.entries(metadata).filter(([key]) => !readOnlyMetadata.includes(key));
  return { ...rest, metadata: Object.fromEntries(kept) };
}

/** Metadata that is secret as a whole becomes metadata with secret members, so that a name can be put into it. */
function secretMembers(metadata: Secret): PropertyValue {
  const inner = metadata.reveal();
  return isMap(inner)
    ? mapValues(inner, (value) =>
        value instanceof Secret ? value : isMap(value) ? secretMap(value) : new Secret(value),
      )
    : inner;
}

function secretMap(map: PropertyMap): PropertyMap {
  return mapValues(map, (value) => (value instanceof Secret ? value : new Secret(value)));
}

function withoutNulls(map: PropertyMap): PropertyMap {
  return Object.fromEntries(
    Object.entries(map)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, withoutNullsIn(value)]),
  );
}

function withoutNullsIn(value: PropertyValue): PropertyValue {
  if (value instanceof Secret) {
    return new Secret(withoutNullsIn(value.reveal()));
  }
  if (isList(value)) {
    return value.map(withoutNullsIn);
  }
  return isMap(value) ? withoutNulls(value) : value;
}

/** @returns the object as the server takes it, secrets in the clear. It must not be logged or returned. */
export function toManifest(inputs: PropertyMap): JsonMap {
  return renamed(toJson(inputs), dashed);
}

/** @returns a live object in the keys of the SDKs */
export function toSdkKeys(live: JsonMap): JsonMap {
  return renamed(live, underscored);
}

/** @returns a live object in the keys of the SDKs, secret where the inputs are and where the kind is Secret */
export function toOutputs(live: JsonMap, inputs: PropertyMap): PropertyMap {
  return protectSecretKind(annotateSecrets(fromJson(toSdkKeys(live)), inputs), inputs);
}

/** Checked inputs of kind Secret keep their data secret, whatever the program says. */
export function protectInputs(inputs: PropertyMap): PropertyMap {
  return protectSecretKind(inputs, inputs);
}

function protectSecretKind(object: PropertyMap, inputs: PropertyMap): PropertyMap {
  if (object["kind"] !== "Secret" && inputs["kind"] !== "Secret") {
    return object;
  }
  const secret = (key: string): PropertyMap => {
    const value = object[key];
    return value === undefined ? {} : { [key]: value instanceof Secret ? value : new Secret(value) };
  };
  return { ...object, ...secret("data"), ...secret("stringData") };
}

function renamed(map: JsonMap, names: Readonly<Record<string, string>>): JsonMap {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [
      Object.hasOwn(names, key) ? (names[key] ?? key) : key,
      renamedIn(value, names),
    ]),
  );
}

function renamedIn(value: Json, names: Readonly<Record<string, string>>): Json {
  if (Array.isArray(value)) {
    return (value as readonly Json[]).map((inner) => renamedIn(inner, names));
  }
  return isJsonMap(value) ? renamed(value, names) : value;
}

/** @returns inputs with a text set in their metadata */
export function withMetadata(inputs: PropertyMap, path: readonly string[], text: string): PropertyMap {
  // Only maps on the way to the text are touched, so that properties may be taken for JSON here.
  return fromJson(withAt(inputs as unknown as JsonMap, ["metadata", ...path], text));
}
