import type { DetailedDiff } from "../property/diff.ts";
import type { PropertyMap } from "../property/value.ts";
import type { Alias } from "../resource/goal.ts";
import type { Urn } from "../resource/urn.ts";

/** One input that a provider refuses. `property` is empty where it is about the resource as a whole. */
export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

export interface CheckRequest {
  readonly urn: Urn;
  /** Undefined where there was no resource before. */
  readonly olds: PropertyMap | undefined;
  readonly news: PropertyMap;
  readonly preview: boolean;
  readonly randomSeed: Buffer;
}

export interface CheckResult {
  readonly inputs: PropertyMap;
  readonly failures: readonly CheckFailure[];
}

export interface DiffRequest {
  readonly urn: Urn;
  readonly id: string;
  readonly oldInputs: PropertyMap;
  readonly oldOutputs: PropertyMap;
  readonly newInputs: PropertyMap;
  readonly ignoreChanges: readonly string[];
  readonly preview: boolean;
}

/** What a provider says of a difference. */
export interface DiffResult {
  readonly changes: "unknown" | "none" | "some";
  readonly replaceKeys: readonly string[];
  readonly stableKeys: readonly string[];
  readonly changedKeys: readonly string[];
  /** Undefined where the provider gives none. */
  readonly detailedDiff: DetailedDiff | undefined;
  readonly deleteBeforeReplace: boolean;
}

/** No difference. */
export const noDiff: DiffResult = {
  changes: "none",
  replaceKeys: [],
  stableKeys: [],
  changedKeys: [],
  detailedDiff: undefined,
  deleteBeforeReplace: false,
};

export interface CreateRequest {
  readonly urn: Urn;
  readonly inputs: PropertyMap;
  /** In seconds; 0 is the provider's own. */
  readonly timeout: number;
  readonly preview: boolean;
}

export interface CreateResult {
  readonly id: string;
  readonly outputs: PropertyMap;
  readonly refreshBeforeUpdate: boolean;
}

export interface ReadRequest {
  readonly urn: Urn;
  /** Empty to ask a provider of this engine for the object that `inputs` name. */
  readonly id: string;
  /** Undefined for an import. */
  readonly inputs: PropertyMap | undefined;
  readonly state: PropertyMap;
  readonly timeout: number;
}

export interface ReadResult {
  /** Empty where the resource doesn't exist any more. */
  readonly id: string;
  readonly inputs: PropertyMap | undefined;
  readonly outputs: PropertyMap;
  readonly refreshBeforeUpdate: boolean;
}

export interface UpdateRequest {
  readonly urn: Urn;
  readonly id: string;
  readonly oldInputs: PropertyMap;
  readonly oldOutputs: PropertyMap;
  readonly newInputs: PropertyMap;
  readonly timeout: number;
  readonly ignoreChanges: readonly string[];
  readonly preview: boolean;
}

export interface UpdateResult {
  readonly outputs: PropertyMap;
  readonly refreshBeforeUpdate: boolean;
}

export interface DeleteRequest {
  readonly urn: Urn;
  readonly id: string;
  readonly inputs: PropertyMap;
  readonly outputs: PropertyMap;
  readonly timeout: number;
}

/** What manages custom resources: a plugin, the registry of providers or a built-in. */
export interface ResourceProvider {
  check(request: CheckRequest): Promise<CheckResult>;
  diff(request: DiffRequest): Promise<DiffResult>;
  create(request: CreateRequest): Promise<CreateResult>;
  read(request: ReadRequest): Promise<ReadResult>;
  update(request: UpdateRequest): Promise<UpdateResult>;
  delete(request: DeleteRequest): Promise<void>;
}

export interface InvokeResult {
  readonly outputs: PropertyMap;
  readonly failures: readonly CheckFailure[];
  /** True where the whole answer isn't known in this preview. */
  readonly unknown?: boolean;
}

/** The deployment that a component provider takes part in. */
export interface DeploymentInfo {
  readonly project: string;
  readonly stack: string;
  readonly organization: string;
  readonly config: ReadonlyMap<string, string>;
  readonly configSecretKeys: readonly string[];
  readonly preview: boolean;
  readonly parallel: number;
  readonly monitorAddress: string;
}

export interface ConstructRequest {
  readonly type: string;
  readonly name: string;
  readonly parent: Urn;
  readonly inputs: PropertyMap;
  readonly inputDependencies: ReadonlyMap<string, readonly Urn[]>;
  readonly providers: ReadonlyMap<string, string>;
  readonly dependencies: readonly Urn[];
  readonly aliases: readonly Alias[];
  readonly protect: boolean | undefined;
  readonly retainOnDelete: boolean | undefined;
  readonly additionalSecretOutputs: readonly string[];
  readonly deletedWith: Urn;
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
  /** As the program gave them: `"5m"`. */
  readonly customTimeouts: { readonly create: string; readonly update: string; readonly delete: string } | undefined;
}

export interface ConstructResult {
  readonly urn: Urn;
  readonly outputs: PropertyMap;
  readonly outputDependencies: ReadonlyMap<string, readonly Urn[]>;
}

export interface CallRequest {
  readonly token: string;
  readonly args: PropertyMap;
  readonly argDependencies: ReadonlyMap<string, readonly Urn[]>;
}

export interface CallResult {
  readonly outputs: PropertyMap;
  readonly outputDependencies: ReadonlyMap<string, readonly Urn[]>;
  readonly failures: readonly CheckFailure[];
}

export interface ConfigureRequest {
  readonly urn: Urn;
  readonly id: string;
  readonly inputs: PropertyMap;
}

/** A provider plugin. */
export interface Provider extends ResourceProvider {
  /** True where {@link ReadRequest} with an empty id finds an object by its inputs. */
  readonly findsByInputs: boolean;
  /** False where components of the package are registered without their children, since nothing here can build them. */
  readonly buildsComponents: boolean;
  checkConfig(urn: Urn, olds: PropertyMap, news: PropertyMap): Promise<CheckResult>;
  diffConfig(request: Omit<DiffRequest, "id" | "preview">): Promise<DiffResult>;
  /** Begins the configuration; its failure shows in the calls that follow. */
  configure(request: ConfigureRequest): void;
  invoke(token: string, args: PropertyMap, preview: boolean): Promise<InvokeResult>;
  construct(request: ConstructRequest, info: DeploymentInfo): Promise<ConstructResult>;
  call(request: CallRequest, info: DeploymentInfo): Promise<CallResult>;
  /** Asks the provider to give up what it is doing. */
  cancel(): Promise<void>;
  close(): Promise<void>;
}

/** A provider refused or failed. */
export class ProviderError extends Error {
  readonly code = "provider-failed";
  constructor(message: string) {
    super(message);
    this.name = "ProviderError";
  }
}

/** A resource exists, but isn't ready; state keeps it with the reasons. */
export class InitError extends Error {
  readonly code = "init-failed";
  readonly reasons: readonly string[];
  readonly id: string;
  readonly outputs: PropertyMap;
  readonly inputs: PropertyMap | undefined;
  readonly refreshBeforeUpdate: boolean;
  constructor(about: Pick<InitError, "reasons" | "id" | "outputs" | "inputs" | "refreshBeforeUpdate">) {
    const reasons = about.reasons.map((reason) => `\n  * ${reason}`).join("");
    super(about.reasons.length === 0 ? "resource init failed" : `the resource exists, but isn't ready:${reasons}`);
    this.name = "InitError";
    this.reasons = about.reasons;
    this.id = about.id;
    this.outputs = about.outputs;
    this.inputs = about.inputs;
    this.refreshBeforeUpdate = about.refreshBeforeUpdate;
  }
}

/** The provider can't compare, since its own configuration isn't known yet. */
export class DiffUnavailableError extends Error {
  readonly code = "diff-unavailable";
  constructor() {
    super(
      "The provider for this resource has inputs that are not known during preview.\n" +
        "This preview may not correctly represent the changes that will be applied during an update.",
    );
    this.name = "DiffUnavailableError";
  }
}

/** A package that this engine has no provider for. */
export class UnsupportedProviderError extends Error {
  readonly code = "unsupported-provider";
  constructor(what: string) {
    super(
      `${what} needs the Pulumi CLI: the embedded engine has no provider for it. ` +
        "Install the CLI and run the same command with --engine cli",
    );
    this.name = "UnsupportedProviderError";
  }
}
