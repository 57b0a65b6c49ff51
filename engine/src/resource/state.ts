import type { PropertyMap, PropertyValue } from "../property/value.ts";
import { isProviderType, parseProviderReference, type Urn } from "./urn.ts";

/** Times that a provider may take, in seconds; 0 is the provider's own default. */
export interface CustomTimeouts {
  readonly create: number;
  readonly update: number;
  readonly delete: number;
  readonly read: number;
}

/** The hook points of a resource, as state names them. */
export type HookType =
  "BeforeCreate" | "AfterCreate" | "BeforeUpdate" | "AfterUpdate" | "BeforeDelete" | "AfterDelete" | "OnError";

/**
 * What state holds of one resource (checkpoint v3, `pulumi` `sdk/go/common/apitype/core.go` `ResourceV3`).
 * The object's identity is its place in the snapshot: steps change it in place and never copy it unasked.
 */
export interface ResourceState {
  readonly urn: Urn;
  readonly type: string;
  readonly custom: boolean;
  /** The provider's identifier; empty for components and before creation. */
  id: string;
  inputs: PropertyMap;
  outputs: PropertyMap;
  parent: Urn;
  protect: boolean;
  /** Read, not owned: never updated or deleted. */
  external: boolean;
  /** To be deleted: its replacement exists. */
  delete: boolean;
  /** Deleted before its replacement, which doesn't exist yet. */
  pendingReplacement: boolean;
  dependencies: readonly Urn[];
  propertyDependencies: ReadonlyMap<string, readonly Urn[]>;
  initErrors: readonly string[];
  provider: string;
  additionalSecretOutputs: readonly string[];
  aliases: readonly Urn[];
  customTimeouts: CustomTimeouts;
  importId: string;
  retainOnDelete: boolean;
  deletedWith: Urn;
  replaceWith: readonly Urn[];
  replacementTrigger: PropertyValue;
  /** ISO 8601; empty where the engine never created or changed it. */
  created: string;
  modified: string;
  sourcePosition: string;
  stackTrace: readonly string[];
  ignoreChanges: readonly string[];
  hideDiff: readonly string[];
  replaceOnChanges: readonly string[];
  refreshBeforeUpdate: boolean;
  resourceHooks: ReadonlyMap<HookType, readonly string[]>;
}

/** No timeouts of its own. */
export const defaultTimeouts: CustomTimeouts = { create: 0, update: 0, delete: 0, read: 0 };

/** A resource state with everything optional left empty. */
export function newState(
  about: Pick<ResourceState, "urn" | "type" | "custom"> & Partial<ResourceState>,
): ResourceState {
  return {
    id: "",
    inputs: {},
    outputs: {},
    parent: "",
    protect: false,
    external: false,
    delete: false,
    pendingReplacement: false,
    dependencies: [],
    propertyDependencies: new Map(),
    initErrors: [],
    provider: "",
    additionalSecretOutputs: [],
    aliases: [],
    customTimeouts: defaultTimeouts,
    importId: "",
    retainOnDelete: false,
    deletedWith: "",
    replaceWith: [],
    replacementTrigger: null,
    created: "",
    modified: "",
    sourcePosition: "",
    stackTrace: [],
    ignoreChanges: [],
    hideDiff: [],
    replaceOnChanges: [],
    refreshBeforeUpdate: false,
    resourceHooks: new Map(),
    ...about,
  };
}

/** What a resource was doing when its engine was stopped. */
export type OperationType = "creating" | "updating" | "deleting" | "reading" | "importing";

/** An operation that began and isn't known to have ended. */
export interface PendingOperation {
  readonly type: OperationType;
  readonly resource: ResourceState;
}

/** How one resource depends on another. */
export interface Dependency {
  readonly urn: Urn;
  readonly kind: "parent" | "dependency" | "property" | "deletedWith" | "replaceWith";
}

/** Everything that a resource depends on, but for its provider. */
export function dependenciesOf(state: ResourceState): readonly Dependency[] {
  const all: Dependency[] = [];
  if (state.parent !== "") all.push({ urn: state.parent, kind: "parent" });
  for (const urn of state.dependencies) all.push({ urn, kind: "dependency" });
  for (const urns of state.propertyDependencies.values()) {
    for (const urn of urns) all.push({ urn, kind: "property" });
  }
  if (state.deletedWith !== "") all.push({ urn: state.deletedWith, kind: "deletedWith" });
  for (const urn of state.replaceWith) all.push({ urn, kind: "replaceWith" });
  return all;
}

/** The URN of the provider that a resource uses, or undefined for components and providers. */
export function providerUrnOf(state: ResourceState): Urn | undefined {
  return state.provider === "" ? undefined : parseProviderReference(state.provider).urn;
}

/** True for a provider resource. */
export function isProvider(state: ResourceState): boolean {
  return isProviderType(state.type);
}
