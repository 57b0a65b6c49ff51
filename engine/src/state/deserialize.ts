import { ResourceReference, Secret, Unknown, type PropertyMap, type PropertyValue } from "../property/value.ts";
import {
  referenceSignature,
  secretSignature,
  signatureKey,
  unknownString,
  UnsupportedValueError,
} from "../property/wire.ts";
import { SecretsError, type Crypter } from "../secrets/passphrase.ts";
import { rememberCiphertext } from "./serialize.ts";
import { newState, type HookType, type ResourceState } from "../resource/state.ts";

/** A checkpoint that isn't what it should be. */
export class CheckpointError extends Error {
  readonly code: "damaged-checkpoint" | "unsupported-checkpoint";
  constructor(code: CheckpointError["code"], message: string) {
    super(message);
    this.name = "CheckpointError";
    this.code = code;
  }
}

/** Parts of a checkpoint that the CLI has and this engine doesn't carry; dropping them would lose them. */
const unsupportedFields = ["taint", "viewOf", "extensionRef", "snippetID"];

/**
 * Reads one resource of a checkpoint.
 *
 * @throws {CheckpointError} where it is damaged or has what only the CLI can handle
 */
export function deserializeResource(json: unknown, crypter: Crypter | undefined): ResourceState {
  const fields = record(json, "a resource");
  const urn = text(fields, "urn");
  for (const field of unsupportedFields) {
    if (fields[field]) {
      throw new CheckpointError(
        "unsupported-checkpoint",
        `resource ${urn} has "${field}" in state, which needs the Pulumi CLI`,
      );
    }
  }
  const timeouts = record(fields["customTimeouts"] ?? {}, "customTimeouts");
  const seconds = (key: string) => (typeof timeouts[key] === "number" ? timeouts[key] : 0);
  const hooks = Object.entries(record(fields["resourceHooks"] ?? {}, "resourceHooks"));
  return newState({
    urn,
    type: text(fields, "type"),
    custom: fields["custom"] === true,
    delete: fields["delete"] === true,
    id: optionalText(fields, "id"),
    inputs: deserializeProperties(fields["inputs"], crypter),
    outputs: deserializeProperties(fields["outputs"], crypter),
    parent: optionalText(fields, "parent"),
    protect: fields["protect"] === true,
    external: fields["external"] === true,
    dependencies: texts(fields, "dependencies"),
    initErrors: texts(fields, "initErrors"),
    provider: optionalText(fields, "provider"),
    propertyDependencies: new Map(
      Object.entries(record(fields["propertyDependencies"] ?? {}, "propertyDependencies")).map(([key, urns]) => [
        key,
        Array.isArray(urns) ? urns.map(String) : [],
      ]),
    ),
    pendingReplacement: fields["pendingReplacement"] === true,
    additionalSecretOutputs: texts(fields, "additionalSecretOutputs"),
    aliases: texts(fields, "aliases"),
    customTimeouts: {
      create: seconds("create"),
      update: seconds("update"),
      delete: seconds("delete"),
      read: seconds("read"),
    },
    importId: optionalText(fields, "importID"),
    retainOnDelete: fields["retainOnDelete"] === true,
    deletedWith: optionalText(fields, "deletedWith"),
    replaceWith: texts(fields, "replaceWith"),
    created: optionalText(fields, "created"),
    modified: optionalText(fields, "modified"),
    sourcePosition: optionalText(fields, "sourcePosition"),
    stackTrace: Array.isArray(fields["stackTrace"])
      ? fields["stackTrace"].map((frame) => optionalText(record(frame, "stackTrace"), "sourcePosition"))
      : [],
    ignoreChanges: texts(fields, "ignoreChanges"),
    hideDiff: texts(fields, "hideDiff"),
    replaceOnChanges: texts(fields, "replaceOnChanges"),
    replacementTrigger: deserializeValue(fields["replacementTrigger"] ?? null, crypter),
    refreshBeforeUpdate: fields["refreshBeforeUpdate"] === true,
    resourceHooks: new Map(
      hooks.map(([type, names]) => [type as HookType, Array.isArray(names) ? names.map(String) : []]),
    ),
  });
}

/** Reads a map of properties of a checkpoint. */
export function deserializeProperties(json: unknown, crypter: Crypter | undefined): PropertyMap {
  const map: Record<string, PropertyValue> = {};
  for (const [key, value] of Object.entries(record(json ?? {}, "properties"))) {
    const property = { value: deserializeValue(value, crypter), enumerable: true, configurable: true, writable: true };
    Object.defineProperty(map, key, property);
  }
  return map;
}

/** Reads one value of a checkpoint. */
export function deserializeValue(json: unknown, crypter: Crypter | undefined): PropertyValue {
  if (json === null || typeof json === "boolean" || typeof json === "number") return json;
  if (typeof json === "string") return json === unknownString ? Unknown.value : json;
  if (Array.isArray(json)) return json.map((element) => deserializeValue(element, crypter));
  const map = record(json, "a value");
  const signature = map[signatureKey];
  if (signature === undefined) return deserializeProperties(map, crypter);
  if (signature === secretSignature) return deserializeSecret(map, crypter);
  if (signature === referenceSignature) {
    const id = map["id"];
    const known = typeof id === "string" ? (id === unknownString ? Unknown.value : id) : undefined;
    return new ResourceReference(text(map, "urn"), known, optionalText(map, "packageVersion"));
  }
  throw new UnsupportedValueError(`a value of kind ${JSON.stringify(signature)} in state`);
}

function deserializeSecret(map: Record<string, unknown>, crypter: Crypter | undefined): Secret {
  const { ciphertext, plaintext } = map;
  if (typeof plaintext === "string" && ciphertext === undefined) {
    return new Secret(deserializeValue(JSON.parse(plaintext), undefined));
  }
  if (typeof ciphertext !== "string" || plaintext !== undefined) {
    throw new CheckpointError("damaged-checkpoint", "a secret in state must have either ciphertext or plaintext");
  }
  if (crypter === undefined) {
    throw new SecretsError("damaged-secret", "state holds an encrypted secret, but names no secrets provider");
  }
  const secret = new Secret(deserializeValue(JSON.parse(crypter.decrypt(ciphertext)), undefined));
  rememberCiphertext(secret, crypter, ciphertext);
  return secret;
}

/** An object of JSON. */
export function record(json: unknown, what: string): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new CheckpointError("damaged-checkpoint", `${what} in state must be an object`);
  }
  return json as Record<string, unknown>;
}

function text(fields: Record<string, unknown>, key: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "") {
    throw new CheckpointError("damaged-checkpoint", `a resource in state has no "${key}"`);
  }
  return value;
}

function optionalText(fields: Record<string, unknown>, key: string): string {
  const value = fields[key];
  return typeof value === "string" ? value : "";
}

function texts(fields: Record<string, unknown>, key: string): readonly string[] {
  const value = fields[key];
  return Array.isArray(value) ? value.map(String) : [];
}
