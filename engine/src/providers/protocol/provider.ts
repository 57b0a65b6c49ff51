import type { PropertyMap } from "./value.ts";

/** An input that a check refuses; `property` is empty when the refusal is of the whole. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}
/** Checked inputs, which become the resource's inputs in the state, or the failures. */
export interface CheckResult {
  readonly inputs: PropertyMap;
  readonly failures?: readonly CheckFailure[];
}

/** How one property changes; `inputDiff` says that the old side is an input, else it is an output. */
export type PropertyChange = "add" | "add-replace" | "delete" | "delete-replace" | "update" | "update-replace";
/** What an update would change. */
export interface DiffResult {
  readonly changes: "none" | "some";
  /** Changed property paths. Those that force a replacement end in `-replace`. */
  readonly detailed: ReadonlyMap<string, { readonly change: PropertyChange; readonly inputDiff: boolean }>;
  readonly deleteBeforeReplace: boolean;
  /** Paths that force a replacement though no property changed. */
  readonly replaces?: readonly string[];
}

/** What every request about a resource says. */
export interface ResourceRequest {
  readonly urn: string;
  /** Type token, for instance `kubernetes:core/v1:ConfigMap`. */
  readonly type: string;
  /** The resource's name in the program. */
  readonly name: string;
}
export interface CheckRequest extends ResourceRequest {
  readonly olds: PropertyMap;
  readonly news: PropertyMap;
  /** Seed of generated names; empty when the engine gave none. */
  readonly randomSeed: Uint8Array;
  readonly autonaming?: { readonly proposedName: string; readonly mode: "propose" | "enforce" | "disable" };
}
export interface DiffRequest extends ResourceRequest {
  readonly id: string;
  /** Outputs of the last operation. */
  readonly olds: PropertyMap;
  readonly oldInputs: PropertyMap;
  readonly news: PropertyMap;
  readonly ignoreChanges: readonly string[];
}
export interface CreateRequest extends ResourceRequest {
  readonly inputs: PropertyMap;
  /** True at preview: nothing may be changed. */
  readonly preview: boolean;
  /** Seconds; 0 means the provider's own limit. */
  readonly timeout: number;
}
export interface UpdateRequest extends CreateRequest {
  readonly id: string;
  readonly olds: PropertyMap;
  readonly oldInputs: PropertyMap;
  readonly ignoreChanges: readonly string[];
}
export interface ReadRequest extends ResourceRequest {
  /**
   * Empty when the engine asks whether a create that was cut off has left the object which `inputs` describe; the
   * answer is then the object only if this resource made it.
   */
  readonly id: string;
  readonly properties: PropertyMap;
  readonly inputs: PropertyMap;
}
export interface DeleteRequest extends ResourceRequest {
  readonly id: string;
  readonly properties: PropertyMap;
  readonly oldInputs: PropertyMap;
  readonly timeout: number;
}
/** A live resource; undefined where the request asked for one that is gone. */
export interface ReadResult {
  readonly id: string;
  readonly properties: PropertyMap;
  readonly inputs: PropertyMap;
}

/** The request to build a component out of child resources. */
export interface ConstructRequest {
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  readonly inputs: PropertyMap;
  readonly monitorAddress: string;
  readonly dryRun: boolean;
  /** Package name to provider reference (`urn::id`). */
  readonly providers: ReadonlyMap<string, string>;
  /** URNs that each child depends on. */
  readonly dependencies: readonly string[];
  /** For each input, the URNs that its value came from. */
  readonly inputDependencies: ReadonlyMap<string, readonly string[]>;
  readonly protect: boolean | undefined;
  readonly retainOnDelete: boolean | undefined;
  readonly deletedWith: string;
  /** Aliases as sent, handed on to the component's own registration. */
  readonly aliases: readonly unknown[];
}
export interface ConstructResult {
  readonly urn: string;
  readonly state: PropertyMap;
}

/** A provider in terms of property values; `serve` puts it behind gRPC. Everything it throws reaches the engine. */
export interface ResourceProvider {
  /** Package name, for instance `kubernetes`. */
  readonly name: string;
  /** The release of the real provider whose shapes this one keeps. */
  readonly version: string;
  checkConfig(request: CheckRequest): Promise<CheckResult>;
  diffConfig(request: DiffRequest): Promise<DiffResult>;
  /** @param inputs the checked configuration; nested values are JSON texts, as SDKs send them */
  configure(inputs: PropertyMap): Promise<void>;
  check(request: CheckRequest): Promise<CheckResult>;
  diff(request: DiffRequest): Promise<DiffResult>;
  create(request: CreateRequest): Promise<{ readonly id: string; readonly properties: PropertyMap }>;
  update(request: UpdateRequest): Promise<PropertyMap>;
  read(request: ReadRequest): Promise<ReadResult | undefined>;
  delete(request: DeleteRequest): Promise<void>;
  invoke(token: string, inputs: PropertyMap): Promise<CheckedResult>;
  construct(request: ConstructRequest): Promise<ConstructResult>;
  /** Ends waiting operations; each then fails with what it knows. */
  cancel(): Promise<void>;
}
/** The result of a function, or why its arguments are refused. */
export interface CheckedResult {
  readonly result: PropertyMap;
  readonly failures?: readonly CheckFailure[];
}
/** Makes a provider for one engine. */
export type ProviderFactory = (log: EngineLog) => ResourceProvider;

/** Where a provider tells the user what it waits for; messages are never secret. */
export interface EngineLog {
  /** A line in the display of one resource that the next one replaces. */
  status(urn: string, message: string): void;
  warning(urn: string, message: string): void;
}
