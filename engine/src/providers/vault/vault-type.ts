import { diffProperties } from "../protocol/diff.ts";
import type { CheckFailure } from "../protocol/provider.ts";
import type { ResourceType } from "../protocol/typed-provider.ts";
import { uniqueName } from "../protocol/unique-name.ts";
import {
  Secret,
  UNKNOWN,
  annotateSecrets,
  fromJson,
  isMap,
  sameValue,
  toJson,
  withoutSecrets,
} from "../protocol/value.ts";
import type { Json, JsonMap, PropertyMap, PropertyValue } from "../protocol/value.ts";
import type { VaultClient } from "./client.ts";
import { sameField, wireName } from "./fields.ts";
import type { Fields } from "./fields.ts";

/** What an operation of a type gets. */
export interface Operation {
  readonly urn: string;
  /** In the resource's namespace. */
  readonly vault: VaultClient;
  /** Inputs in the clear, without those that only the state has. */
  readonly inputs: JsonMap;
}
/** An update: what was, and which inputs differ. */
export interface Change extends Operation {
  readonly id: string;
  readonly old: JsonMap;
  /** Outputs as of the last operation. */
  readonly state: JsonMap;
  readonly changed: readonly string[];
  /** Inputs that the resource has no longer. */
  readonly dropped: readonly string[];
}

/** A resource type of Vault in terms of its API. */
export interface VaultTypeOptions {
  readonly fields: Fields;
  readonly required: readonly string[];
  /** Names that are paths: slashes at their ends mean nothing. */
  readonly paths?: readonly string[];
  /** Defaults that the SDK leaves to the provider, shown in the state. */
  readonly defaults?: JsonMap;
  /** Outputs besides the inputs, unknown at preview. */
  readonly computed?: readonly string[];
  /** Outputs that are secrets. */
  readonly secrets?: readonly string[];
  /** The Terraform schema's version, without which the real provider would migrate the state. */
  readonly schemaVersion?: number;
  /** The replacement can't exist beside the old resource: both have the same name in Vault. */
  readonly sameName?: true;
  /** Makes the resource. @returns its id and outputs that only the making tells */
  create(operation: Operation): Promise<{ readonly id: string; readonly outputs?: JsonMap }>;
  update?(change: Change): Promise<{ readonly id?: string } | undefined>;
  /**
   * Reads the resource.
   * @returns live values under Vault's names and outputs under Pulumi's; undefined if it is gone
   */
  read(
    vault: VaultClient,
    id: string,
    state: JsonMap,
  ): Promise<{ readonly live: JsonMap; readonly outputs?: JsonMap } | undefined>;
  delete(vault: VaultClient, id: string, state: JsonMap): Promise<void>;
  /**
   * Looks for what a create that was cut off left, for types whose create can't be done twice.
   * @returns what the create would have told, or undefined if the create is to be done
   */
  find?(operation: Operation): Promise<{ readonly id: string; readonly outputs?: JsonMap } | undefined>;
  /** Inputs that the id tells, for an import. */
  imported?(id: string): JsonMap;
}

/**
 * What a create does with what is there already, for types whose create can't be done twice: `refuse` leaves that to
 * Vault, `adopt` takes it for its own, as after a create that was cut off.
 */
export type ExistingObjects = "adopt" | "refuse";

/**
 * Makes a resource type out of its description.
 * @param vault gives the client once the provider is configured
 */
export function vaultType(
  options: VaultTypeOptions,
  vault: () => Promise<VaultClient>,
  existingObjects: ExistingObjects,
): ResourceType {
  const client = async (inputs: JsonMap): Promise<VaultClient> => {
    const namespace = inputs["namespace"];
    return (await vault()).inNamespace(typeof namespace === "string" ? namespace : "");
  };
  const found = async (urn: string, inputs: PropertyMap): ReturnType<NonNullable<VaultTypeOptions["find"]>> => {
    const plain = toJson(clean(inputs));
    return options.find?.({ urn, vault: await client(plain), inputs: plain });
  };
  return {
    check({ news, olds, name, randomSeed, autonaming }) {
      const inputs = withTrimmedPaths(withoutNulls(news), options.paths ?? []);
      const failures = [
        ...Object.keys(inputs)
          .filter((key) => !isKnown(key, options.fields))
          .map((property): CheckFailure => ({
            property,
            reason: "these providers don't have this property; it needs the Pulumi CLI",
          })),
        ...options.required
          .filter((key) => inputs[key] === undefined)
          .map((property): CheckFailure => ({ property, reason: "missing required property" })),
      ];
      if (options.fields["name"] === undefined || inputs["name"] !== undefined) {
        return { inputs, failures };
      }
      if (autonaming?.mode === "disable") {
        return { inputs, failures: [...failures, { property: "name", reason: "autonaming is disabled: give a name" }] };
      }
      const proposed = autonaming?.proposedName ?? uniqueName(`${name}-`, randomSeed);
      const generated = isGenerated(olds) ? (olds["name"] ?? null) : proposed;
      return { inputs: { ...inputs, name: generated, __defaults: ["name"] }, failures };
    },

    diff({ olds, oldInputs, news, ignoreChanges }) {
      const before = Object.keys(oldInputs).length > 0 ? oldInputs : inputsOf(olds, options);
      const [old, next] = [comparable(before, options.fields), comparable(news, options.fields)];
      const steady = withoutUncounted(old, next, options.fields);
      return diffProperties(steady.old, steady.next, {
        replaces: ([key]) => options.fields[String(key)]?.replaces === true || key === "namespace",
        ignoreChanges,
        deleteBeforeReplace: options.sameName === true && sameIdentity(old, next, options.fields),
      });
    },

    async create({ urn, inputs, preview }) {
      if (preview) {
        return { id: "", properties: planned(inputs, options) };
      }
      const plain = toJson(clean(inputs));
      const operation = { urn, vault: await client(plain), inputs: plain };
      const existing = existingObjects === "adopt" ? await options.find?.(operation) : undefined;
      const { id, outputs = {} } = existing ?? (await options.create(operation));
      const seen = await options.read(operation.vault, id, { ...plain, ...outputs });
      return { id, properties: outputsOf(id, inputs, { ...outputs, ...seen?.outputs }, options) };
    },

    async update({ urn, id, inputs, olds, oldInputs, preview }) {
      if (preview) {
        return { ...olds, ...planned(inputs, options) };
      }
      const before = Object.keys(oldInputs).length > 0 ? oldInputs : inputsOf(olds, options);
      const [plain, old, state] = [toJson(clean(inputs)), toJson(clean(before)), toJson(olds)];
      const names = new Set([...Object.keys(plain), ...Object.keys(old)]);
      const changed = [...names].filter((name) => !same(plain[name], old[name]));
      const dropped = Object.keys(old).filter((name) => plain[name] === undefined);
      const operation = { urn, vault: await client(plain), inputs: plain, id, old, state, changed, dropped };
      const next = (await options.update?.(operation))?.id ?? id;
      const kept = Object.fromEntries(
        (options.computed ?? []).flatMap((key) => (state[key] === undefined ? [] : [[key, state[key]]])),
      );
      const seen = await options.read(operation.vault, next, { ...state, ...plain });
      return outputsOf(next, inputs, { ...kept, ...seen?.outputs }, options);
    },

    async read({ urn, id: asked, properties, inputs }) {
      const existing = asked === "" ? await found(urn, inputs) : { id: asked };
      if (existing === undefined) {
        return undefined;
      }
      const { id, outputs = {} } = existing;
      const isImport = Object.keys(inputs).length === 0;
      const given = isImport ? fromJson(options.imported?.(id) ?? {}) : inputs;
      const state = { ...toJson(clean(properties)), ...toJson(clean(given)), ...outputs };
      const seen = await options.read(await client(state), id, state);
      if (seen === undefined) {
        return undefined;
      }
      const drifted = isImport
        ? importedInputs(given, seen.live, options)
        : driftedInputs(given, seen.live, options.fields);
      const kept = Object.fromEntries(
        (options.computed ?? []).flatMap((key) => (state[key] === undefined ? [] : [[key, state[key]]])),
      );
      return { id, inputs: drifted, properties: outputsOf(id, drifted, { ...kept, ...seen.outputs }, options) };
    },

    async delete({ id, properties }) {
      const state = toJson(clean(properties));
      await options.delete(await client(state), id, state);
    },
  };
}

function isKnown(key: string, all: Fields): boolean {
  return all[key] !== undefined || key === "namespace" || key.startsWith("__");
}

function isGenerated(olds: PropertyMap): boolean {
  const defaults = olds["__defaults"];
  return Array.isArray(defaults) && defaults.includes("name");
}

function withoutNulls(map: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== null));
}

function withTrimmedPaths(inputs: PropertyMap, paths: readonly string[]): PropertyMap {
  const trimmed = paths.flatMap((key) => {
    const value = inputs[key];
    return typeof value === "string" ? [[key, value.replaceAll(/^\/+|\/+$/g, "")]] : [];
  });
  return { ...inputs, ...(Object.fromEntries(trimmed) as PropertyMap) };
}

/** Without the bridge's own keys. */
function clean(map: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !key.startsWith("__")));
}

/** The inputs of a state whose inputs the engine did not send: without what Vault or a default filled in. */
function inputsOf(state: PropertyMap, { fields, computed = [], defaults = {} }: VaultTypeOptions): PropertyMap {
  const isInput = (key: string): boolean =>
    fields[key] !== undefined && !computed.includes(key) && defaults[key] === undefined;
  return Object.fromEntries(Object.entries(state).filter(([key]) => isInput(key) || key === "namespace"));
}

/** Sets in one order, durations in seconds, so that only real differences are found. */
function comparable(inputs: PropertyMap, all: Fields): PropertyMap {
  const known = Object.entries(clean(inputs)).filter(([key, value]) => isKnown(key, all) && value !== null);
  return Object.fromEntries(
    known.map(([key, value]): [string, PropertyValue] => {
      const plain = withoutSecrets(value);
      const ordered =
        all[key]?.kind === "set" && Array.isArray(plain) && plain.every((item) => typeof item === "string")
          ? (plain as readonly string[]).toSorted()
          : plain;
      return [key, value instanceof Secret ? new Secret(ordered) : ordered];
    }),
  );
}

/** A write-only input differs only if the version that counts it does. */
function withoutUncounted(
  old: PropertyMap,
  next: PropertyMap,
  all: Fields,
): { readonly old: PropertyMap; readonly next: PropertyMap } {
  const uncounted = Object.entries(all).flatMap(([name, { writeOnlyWith }]) =>
    writeOnlyWith !== undefined && sameValue(old[writeOnlyWith] ?? null, next[writeOnlyWith] ?? null) ? [name] : [],
  );
  const without = (map: PropertyMap): PropertyMap =>
    Object.fromEntries(Object.entries(map).filter(([key]) => !uncounted.includes(key)));
  return { old: without(old), next: without(next) };
}

function sameIdentity(old: PropertyMap, next: PropertyMap, all: Fields): boolean {
  const names = ["path", "mount", "backend", "name", "roleName", "namespace"].filter((key) => all[key] !== undefined);
  return names.every((key) => sameValue(old[key] ?? null, next[key] ?? null));
}

function same(left: Json | undefined, right: Json | undefined): boolean {
  return sameValue(fromJson({ value: left ?? null }), fromJson({ value: right ?? null }));
}

function planned(inputs: PropertyMap, options: VaultTypeOptions): PropertyMap {
  const awaited = (options.computed ?? []).filter((key) => inputs[key] === undefined);
  const unknown = awaited.map((key): [string, PropertyValue] => [key, UNKNOWN]);
  return markSecrets({ ...stored(inputs, options), ...Object.fromEntries(unknown) }, options);
}

/** The inputs as the state's outputs show them: defaults filled in, write-only ones left out. */
function stored(inputs: PropertyMap, options: VaultTypeOptions): PropertyMap {
  const shown = Object.entries(clean(inputs)).filter(([key]) => options.fields[key]?.writeOnlyWith === undefined);
  return { ...fromJson(options.defaults ?? {}), ...Object.fromEntries(shown) };
}

function outputsOf(id: string, inputs: PropertyMap, more: JsonMap, options: VaultTypeOptions): PropertyMap {
  const meta =
    options.schemaVersion === undefined
      ? {}
      : { __meta: JSON.stringify({ schema_version: String(options.schemaVersion) }) };
  return markSecrets({ ...meta, ...fromJson(more), ...stored(inputs, options), id }, options);
}

function markSecrets(properties: PropertyMap, options: VaultTypeOptions): PropertyMap {
  const names = new Set(options.secrets ?? []);
  const entries = Object.entries(properties).map(([key, value]): [string, PropertyValue] => [
    key,
    (names.has(key) || options.fields[key]?.secret === true) && !(value instanceof Secret) ? new Secret(value) : value,
  ]);
  return Object.fromEntries(entries);
}

/** Inputs after a refresh: each that Vault gives back and that differs takes Vault's value. */
function driftedInputs(inputs: PropertyMap, live: JsonMap, all: Fields): PropertyMap {
  const plain = withoutSecrets(inputs) as PropertyMap;
  const entries = Object.entries(inputs).map(([name, value]): [string, PropertyValue] => {
    const field = all[name];
    const isKept = field === undefined || field.wire === "" || field.unread === true;
    if (isKept || field.writeOnlyWith !== undefined) {
      return [name, value];
    }
    const now = live[wireName(name, field)];
    return sameField(field, plain[name] as Json, now) ? [name, value] : [name, asProperty(now ?? null)];
  });
  const known = Object.fromEntries(entries.filter(([, value]) => value !== null));
  return annotateSecrets(known, inputs);
}

function asProperty(value: Json): PropertyValue {
  return fromJson({ value })["value"] ?? null;
}

/** Inputs of an import: what the id tells and what Vault gives back, unless it is empty. */
function importedInputs(given: PropertyMap, live: JsonMap, options: VaultTypeOptions): PropertyMap {
  const read = Object.entries(options.fields).flatMap(([name, field]): [string, PropertyValue][] => {
    const value = live[wireName(name, field)];
    const isEmpty = value === undefined || value === null || value === "" || value === 0 || value === false;
    const isVoid =
      isEmpty ||
      (Array.isArray(value) && value.length === 0) ||
      (isMap(asProperty(value)) && Object.keys(value as JsonMap).length === 0);
    return isVoid || field.unread === true || field.wire === "" ? [] : [[name, asProperty(value)]];
  });
  return { ...Object.fromEntries(read), ...given };
}
