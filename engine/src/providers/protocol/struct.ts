import type { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { EncodedStruct, mapOf } from "../../grpc/encoded-struct.ts";
import { setOwn, type Json, type JsonMap } from "../../grpc/struct-codec.ts";
import { Asset, Secret, UNKNOWN, Unknown, isList } from "./value.ts";
import type { PropertyMap, PropertyValue } from "./value.ts";

/** The key that marks special objects on the wire, and its values (pulumi/pulumi `sdk/go/common/resource/sig`). */
export const signatureKey = "4dabf18193072939515e22adb298388d";
/** Values of the signature key. */
export const signatures = {
  secret: "1b47061264138c4ac30d75fd1eb44270",
  output: "d0e6a833031e9bbcd3f4e8bde6ca49a4",
  asset: "c44067f5952c0a294b673a41bacd8c17",
  archive: "0def7320c3a5731c473e5ecbe6d01bc7",
  resource: "5cf8f73096256a8f31e491e813e4eb8e",
} as const;

const unknownString = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** Unknowns of every type; providers write the one for strings (pulumi/pulumi `plugin/rpc.go`). */
const unknowns: ReadonlySet<string> = new Set([
  unknownString,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/**
 * Reads the properties of a request.
 * @param struct as sent; absent means no properties
 * @throws Error on an object with an unknown signature
 */
export function decodeProperties(struct: Struct | undefined): PropertyMap {
  return struct === undefined ? {} : decodeMap(mapOf(struct));
}

/** Writes properties for a response. Keys whose value is undefined are left out. */
export function encodeProperties(properties: PropertyMap): Struct {
  return EncodedStruct.of(encodeMap(properties));
}

function encodeMap(properties: PropertyMap): JsonMap {
  const wire: Record<string, Json> = {};
  for (const [key, value] of Object.entries(properties) as [string, PropertyValue | undefined][]) {
    if (value !== undefined) setOwn(wire, key, encode(value));
  }
  return wire;
}

function decode(value: Json): PropertyValue {
  if (typeof value === "string") {
    return unknowns.has(value) ? UNKNOWN : value;
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    return (value as readonly Json[]).map(decode);
  }
  const object = value as JsonMap;
  const signature = object[signatureKey];
  return typeof signature === "string" ? decodeSpecial(signature, object) : decodeMap(object);
}

function decodeMap(object: JsonMap): PropertyMap {
  const map: Record<string, PropertyValue> = {};
  for (const key of Object.keys(object)) {
    setOwn(map, key, decode(object[key] ?? null));
  }
  return map;
}

function decodeSpecial(signature: string, object: JsonMap): PropertyValue {
  switch (signature) {
    case signatures.secret:
      return new Secret(decode(object["value"] ?? null));
    case signatures.output: {
      const value = object["value"] === undefined ? UNKNOWN : decode(object["value"]);
      return object["secret"] === true ? new Secret(value) : value;
    }
    case signatures.asset:
    case signatures.archive: {
      const fields = Object.fromEntries(Object.entries(object).filter(([key]) => key !== signatureKey));
      return new Asset(signature === signatures.asset ? "asset" : "archive", fields);
    }
    case signatures.resource:
      // A reference to a resource of the program: what a provider can use of it is its id, else its URN.
      return decode(object["id"] === undefined || object["id"] === "" ? (object["urn"] ?? null) : object["id"]);
    default:
      throw new Error(`a property has the unknown signature ${signature}`);
  }
}

function encode(value: PropertyValue): Json {
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (value instanceof Unknown) {
    return unknownString;
  }
  if (isList(value)) {
    return value.map(encode);
  }
  if (value instanceof Secret) {
    return { [signatureKey]: signatures.secret, value: encode(value.reveal()) };
  }
  if (value instanceof Asset) {
    return { ...encodeMap(value.fields), [signatureKey]: signatures[value.type] };
  }
  return encodeMap(value);
}
