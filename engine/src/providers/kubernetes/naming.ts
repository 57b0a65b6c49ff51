import { createHash } from "node:crypto";
import type { CheckRequest } from "../protocol/provider.ts";
import { uniqueName } from "../protocol/unique-name.ts";
import { UNKNOWN, isMap } from "../protocol/value.ts";
import type { PropertyMap, PropertyValue } from "../protocol/value.ts";
import { annotations } from "./api/object.ts";
import { withMetadata } from "./manifest.ts";

function metadataOf(inputs: PropertyMap): PropertyMap {
  return isMap(inputs["metadata"]) ? inputs["metadata"] : {};
}

function isGiven(value: PropertyValue | undefined): boolean {
  return value !== undefined && value !== null && value !== "";
}

/** @returns true if the inputs carry the mark of a generated name */
export function isAutonamed(inputs: PropertyMap): boolean {
  const { annotations: given } = metadataOf(inputs);
  return isMap(given) && given[annotations.autonamed] === "true";
}

/**
 * Gives an object without a name one: its name in the program, a dash and eight random digits; the one it had, if that
 * was generated; or the one that the engine proposes.
 * @throws Error where the stack's configuration forbids generated names, and for `generateName`
 */
export function withName(inputs: PropertyMap, request: CheckRequest): PropertyMap {
  const metadata = metadataOf(inputs);
  if (inputs["metadata"] === UNKNOWN || isGiven(metadata["name"])) {
    return inputs;
  }
  if (isGiven(metadata["generateName"])) {
    throw new Error(".metadata.generateName is not supported with server-side apply; leave the name out instead");
  }
  const old = metadataOf(request.olds)["name"];
  if (typeof old === "string" && isAutonamed(request.olds)) {
    return marked(inputs, old);
  }
  if (request.autonaming?.mode === "disable") {
    throw new Error("autonaming is disabled, resource requires the .metadata.name field to be set");
  }
  return marked(inputs, request.autonaming?.proposedName ?? uniqueName(`${request.name}-`, request.randomSeed));
}

function marked(inputs: PropertyMap, name: string): PropertyMap {
  const named = withMetadata(inputs, ["name"], name);
  return metadataOf(inputs)["annotations"] === UNKNOWN
    ? named
    : withMetadata(named, ["annotations", annotations.autonamed], "true");
}

/**
 * The field manager of a new object, in the form of the real provider's. It follows from the URN, so that an object
 * whose creation was cut off is known again by its manager and adopted.
 */
export function fieldManagerOf(urn: string): string {
  return `pulumi-kubernetes-${createHash("sha256").update(urn).digest("hex").slice(0, 8)}`;
}
