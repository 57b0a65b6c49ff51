import { setOwn } from "../grpc/struct-codec.ts";
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

/** The key that marks a map as something other than a map, on the wire and in state (`sdk/go/common/resource/sig`). */
export const signatureKey = "4dabf18193072939515e22adb298388d";
export const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
export const referenceSignature = "5cf8f73096256a8f31e491e813e4eb8e";
const outputSignature = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const unsupportedSignatures = new Map([
  ['"c44067f5952c0a294b673a41bacd8c17"', "an asset"],
  ['"0def7320c3a5731c473e5ecbe6d01bc7"', "an archive"],
]);

/** What stands for a value that isn't known yet (`UnknownStringValue`); also written to state, where it must not occur. */
export const unknownString = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const unknowns = new Set([
  unknownString,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** A value of JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A map of JSON. */
export type JsonMap = Record<string, Json>;

/** What the other side of a connection understands; what it doesn't is reduced to plain values. */
export interface WireOptions {
  readonly secrets: boolean;
  readonly references: boolean;
  readonly outputs: boolean;
  /** Unknowns are sent in previews only; elsewhere the property is left out. */
  readonly unknowns: boolean;
}

/** Something on the wire that this engine doesn't carry. */
export class UnsupportedValueError extends Error {
  readonly code = "unsupported-value";
  constructor(what: string) {
    super(`${what} among the properties needs the Pulumi CLI: install it and run the same command with --engine cli`);
    this.name = "UnsupportedValueError";
  }
}

/** A map of properties as JSON for a protobuf Struct. */
export function toWire(map: PropertyMap, options: WireOptions): JsonMap {
  const wire: JsonMap = {};
  for (const [key, value] of Object.entries(map)) {
    const json = encode(value, options);
    if (json !== undefined) setOwn(wire, key, json);
  }
  return wire;
}

/** One value as JSON, or undefined where it is an unknown that the other side must not see. */
export function toWireValue(value: PropertyValue, options: WireOptions): Json | undefined {
  return encode(value, options);
}

function encode(value: PropertyValue, options: WireOptions): Json | undefined {
  if (value instanceof Unknown) return options.unknowns ? unknownString : undefined;
  if (value instanceof Secret) {
    const element = encode(value.element, options);
    if (element === undefined || !options.secrets) return element;
    return { [signatureKey]: secretSignature, value: element };
  }
  if (value instanceof Output) return encodeOutput(value, options);
  if (value instanceof ResourceReference) {
    const id = value.id instanceof Unknown ? (options.unknowns ? unknownString : "") : value.id;
    if (!options.references) return id ?? value.urn;
    return {
      [signatureKey]: referenceSignature,
      urn: value.urn,
      ...nameAndType(value.urn),
      ...(id === undefined ? {} : { id }),
      ...(value.packageVersion === "" ? {} : { packageVersion: value.packageVersion }),
    };
  }
  if (isList(value)) return value.map((element) => encode(element, options)).filter((element) => element !== undefined);
  if (isMap(value)) return toWire(value, options);
  return value;
}

function encodeOutput(output: Output, options: WireOptions): Json | undefined {
  if (!options.outputs) {
    const element = output.known ? output.element : Unknown.value;
    return encode(output.secret ? new Secret(element) : element, options);
  }
  const element = output.known ? encode(output.element, options) : undefined;
  return {
    [signatureKey]: outputSignature,
    ...(element === undefined ? {} : { value: element }),
    ...(output.secret ? { secret: true } : {}),
    ...(output.dependencies.length === 0 ? {} : { dependencies: [...output.dependencies] }),
  };
}

/** Reads the properties of a protobuf Struct. Unknowns, secrets and outputs become their classes. */
export function fromWire(wire: Readonly<Record<string, unknown>> | undefined): PropertyMap {
  const map: Record<string, PropertyValue> = {};
  for (const [key, value] of Object.entries(wire ?? {})) {
    setOwn(map, key, decode(value));
  }
  return map;
}

/** Reads one value of a protobuf Struct. */
export function fromWireValue(wire: unknown): PropertyValue {
  return decode(wire);
}

function decode(wire: unknown): PropertyValue {
  if (wire === null || wire === undefined) return null;
  if (typeof wire === "string") return unknowns.has(wire) ? Unknown.value : wire;
  if (typeof wire === "number" || typeof wire === "boolean") return wire;
  if (Array.isArray(wire)) return wire.map(decode);
  const map = wire as Record<string, unknown>;
  const signature = map[signatureKey];
  if (signature === undefined) return fromWire(map);
  if (signature === secretSignature) return new Secret(decode(map["value"]));
  if (signature === referenceSignature) {
    const id = map["id"];
    return new ResourceReference(
      String(map["urn"]),
      typeof id !== "string" ? undefined : unknowns.has(id) ? Unknown.value : id,
      typeof map["packageVersion"] === "string" ? map["packageVersion"] : "",
    );
  }
  if (signature === outputSignature) {
    const dependencies = Array.isArray(map["dependencies"]) ? map["dependencies"].map(String) : [];
    return new Output(decode(map["value"]), { known: "value" in map, secret: map["secret"] === true, dependencies });
  }
  throw new UnsupportedValueError(
    unsupportedSignatures.get(JSON.stringify(signature)) ?? `a value of kind ${JSON.stringify(signature)}`,
  );
}

/** What a reference says of its resource besides the URN, in which both are: `urn:pulumi:stack::project::types::name`. */
function nameAndType(urn: string): JsonMap {
  const [, , types, ...name] = urn.split("::");
  return types === undefined || name.length === 0
    ? {}
    : { name: name.join("::"), type: types.slice(types.lastIndexOf("$") + 1) };
}
