import type { Json, JsonMap } from "../property/wire.ts";
import { referenceSignature, secretSignature, signatureKey, unknownString } from "../property/wire.ts";
import { isList, isMap, Output, ResourceReference, Secret, Unknown } from "../property/value.ts";
import type { PropertyMap, PropertyValue } from "../property/value.ts";
import type { Crypter } from "../secrets/passphrase.ts";
import type { ResourceState } from "../resource/state.ts";

/** How secrets are written: encrypted, or in clear for `stack export --show-secrets`. */
export type SecretWriter = (secret: Secret, plaintext: string) => JsonMap;

const knownCiphertexts = new WeakMap<Secret, { readonly crypter: Crypter; readonly ciphertext: string }>();

/** Remembers the ciphertext that a secret was read from, so that an unchanged secret stays unchanged in state. */
export function rememberCiphertext(secret: Secret, crypter: Crypter, ciphertext: string): void {
  knownCiphertexts.set(secret, { crypter, ciphertext });
}

/** Writes secrets encrypted. Without a crypter a secret is refused rather than written in clear. */
export function encryptedSecrets(crypter: Crypter): SecretWriter {
  return (secret, plaintext) => {
    const known = knownCiphertexts.get(secret);
    const ciphertext = known?.crypter === crypter ? known.ciphertext : crypter.encrypt(plaintext);
    if (known?.crypter !== crypter) rememberCiphertext(secret, crypter, ciphertext);
    return { [signatureKey]: secretSignature, ciphertext };
  };
}

/** Writes secrets in clear, for `--show-secrets` only. */
export const clearSecrets: SecretWriter = (_secret, plaintext) => ({ [signatureKey]: secretSignature, plaintext });

/** Writes secrets as a mark, for display. */
export const maskedSecrets: SecretWriter = () => ({ [signatureKey]: secretSignature, ciphertext: "[secret]" });

/** A map of properties as checkpoints hold it; keys are sorted, so that equal states are equal files. */
export function serializeProperties(map: PropertyMap, writeSecret: SecretWriter): JsonMap {
  const json: JsonMap = {};
  for (const key of Object.keys(map).sort()) {
    const value = serializeValue(map[key] ?? null, writeSecret);
    Object.defineProperty(json, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return json;
}

/** One value as checkpoints hold it. */
export function serializeValue(value: PropertyValue, writeSecret: SecretWriter): Json {
  if (value instanceof Unknown) return unknownString;
  if (value instanceof Secret) {
    const plain = serializeValue(value.element, (_secret, plaintext) => JSON.parse(plaintext) as JsonMap);
    return writeSecret(value, JSON.stringify(plain));
  }
  if (value instanceof Output) {
    const element = value.known ? value.element : Unknown.value;
    return serializeValue(value.secret ? new Secret(element) : element, writeSecret);
  }
  if (value instanceof ResourceReference) {
    const id = value.id instanceof Unknown ? unknownString : value.id;
    return {
      [signatureKey]: referenceSignature,
      urn: value.urn,
      ...(id === undefined ? {} : { id }),
      packageVersion: value.packageVersion,
    };
  }
  if (isList(value)) return value.map((element) => serializeValue(element, writeSecret));
  if (isMap(value)) return serializeProperties(value, writeSecret);
  return value;
}

/** A resource as checkpoint v3 holds it: empty fields are left out, in the CLI's order. */
export function serializeResource(state: ResourceState, writeSecret: SecretWriter): JsonMap {
  const inputs = serializeProperties(state.inputs, writeSecret);
  const outputs = serializeProperties(state.outputs, writeSecret);
  const timeouts = Object.fromEntries(Object.entries(state.customTimeouts).filter(([, seconds]) => seconds !== 0));
  const propertyDependencies = Object.fromEntries(
    [...state.propertyDependencies].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, urns]) => [key, [...urns]]),
  );
  const trigger = serializeValue(state.replacementTrigger, writeSecret);
  const all: Record<string, Json | undefined> = {
    urn: state.urn,
    custom: state.custom,
    delete: state.delete || undefined,
    id: state.id || undefined,
    type: state.type,
    inputs: filled(inputs),
    outputs: filled(outputs),
    parent: state.parent || undefined,
    protect: state.protect || undefined,
    external: state.external || undefined,
    dependencies: filledList(state.dependencies),
    initErrors: filledList(state.initErrors),
    provider: state.provider || undefined,
    propertyDependencies: filled(propertyDependencies),
    pendingReplacement: state.pendingReplacement || undefined,
    additionalSecretOutputs: filledList(state.additionalSecretOutputs),
    aliases: filledList(state.aliases),
    customTimeouts: filled(timeouts),
    importID: state.importId || undefined,
    retainOnDelete: state.retainOnDelete || undefined,
    deletedWith: state.deletedWith || undefined,
    replaceWith: filledList(state.replaceWith),
    created: state.created || undefined,
    modified: state.modified || undefined,
    sourcePosition: state.sourcePosition || undefined,
    stackTrace:
      state.stackTrace.length === 0
        ? undefined
        : state.stackTrace.map((at) => (at === "" ? {} : { sourcePosition: at })),
    ignoreChanges: filledList(state.ignoreChanges),
    hideDiff: filledList(state.hideDiff),
    replaceOnChanges: filledList(state.replaceOnChanges),
    replacementTrigger: trigger ?? undefined,
    refreshBeforeUpdate: state.refreshBeforeUpdate || undefined,
    resourceHooks: filled(Object.fromEntries([...state.resourceHooks].map(([type, names]) => [type, [...names]]))),
  };
  const json: JsonMap = {};
  for (const [key, value] of Object.entries(all)) if (value !== undefined) json[key] = value;
  return json;
}

function filled(map: JsonMap): JsonMap | undefined {
  return Object.keys(map).length === 0 ? undefined : map;
}

function filledList(list: readonly string[]): Json[] | undefined {
  return list.length === 0 ? undefined : [...list];
}
