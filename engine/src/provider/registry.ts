import { randomUUID } from "node:crypto";
import { equalMaps } from "../property/equal.ts";
import { isMap, without, type PropertyMap } from "../property/value.ts";
import { unknownString } from "../property/wire.ts";
import type { ResourceState } from "../resource/state.ts";
import { parseProviderReference, providerPackage, providerReference, urnType, type Urn } from "../resource/urn.ts";
import type {
  CheckRequest,
  CheckResult,
  CreateRequest,
  CreateResult,
  DeleteRequest,
  DiffRequest,
  DiffResult,
  Provider,
  ReadResult,
  ResourceProvider,
  UpdateRequest,
  UpdateResult,
} from "./provider.ts";
import { ProviderError } from "./provider.ts";

const unconfigured = "unconfigured";
/** What the engine itself keeps in a provider's inputs; providers never see it. */
const internalKey = "__internal";

/** Knows what resources are called now that went by other names before. */
export interface Formerly {
  current(urn: Urn): Urn;
}

/** Loads the provider of a package. */
export type LoadProvider = (packageName: string, version: string) => Promise<Provider>;

/**
 * The providers of a deployment, and itself the provider of provider resources (`pulumi`
 * `pkg/resource/deploy/providers/registry.go`): checking one loads the plugin, creating, updating or keeping one
 * configures it.
 */
export class ProviderRegistry implements ResourceProvider {
  readonly #load: LoadProvider;
  readonly #providers = new Map<string, Provider>();
  readonly #aliases = new Map<Urn, Urn>();
  readonly #states = new Map<Urn, ResourceState>();
  readonly #loading = new Map<string, Promise<void>>();

  constructor(load: LoadProvider) {
    this.#load = load;
  }

  /** The configured provider of a reference, if it is there. */
  find(reference: string): Provider | undefined {
    return reference === "" ? undefined : this.#providers.get(reference);
  }

  /** The desired state of a provider resource of this deployment. */
  stateOf(urn: Urn): ResourceState | undefined {
    return this.#states.get(urn);
  }

  /** Notes the desired state of a provider resource, for the comparison of providers. */
  remember(state: ResourceState): void {
    this.#states.set(state.urn, state);
    for (const alias of state.aliases) this.#states.set(alias, state);
  }

  /** Lets a provider be found by its former name too. */
  alias(urn: Urn, former: Urn): void {
    if (urn !== former) this.#aliases.set(urn, former);
  }

  /** True where a resource's provider changed so that the resource has to be replaced. */
  async isReplaced(old: ResourceState, fresh: ResourceState, names: Formerly): Promise<boolean> {
    if (old.provider === fresh.provider) return false;
    if (old.provider === "" || fresh.provider === "") return true;
    const before = parseProviderReference(old.provider);
    const after = parseProviderReference(fresh.provider);
    if (before.urn !== after.urn && names.current(before.urn) === after.urn) return false;
    const provider = this.find(fresh.provider);
    const oldState = this.#oldStates.get(before.urn);
    const newState = this.#states.get(after.urn);
    if (provider === undefined || oldState === undefined || newState === undefined) {
      throw new ProviderError(`provider ${fresh.provider} of ${fresh.urn} isn't known`);
    }
    const diff = await provider.diffConfig({
      urn: after.urn,
      oldInputs: without(oldState.inputs, internalKey),
      oldOutputs: oldState.outputs,
      newInputs: without(newState.inputs, internalKey),
      ignoreChanges: [],
    });
    return (
      diff.replaceKeys.length > 0 ||
      [...(diff.detailedDiff?.values() ?? [])].some(({ kind }) => kind.endsWith("replace"))
    );
  }

  #oldStates: ReadonlyMap<Urn, ResourceState> = new Map();

  /** Takes the provider resources of the last deployment, to compare with. */
  rebase(olds: ReadonlyMap<Urn, ResourceState>): void {
    this.#oldStates = olds;
  }

  /**
   * Makes sure that a provider of the last deployment is loaded, for a resource that the program doesn't register.
   *
   * @throws {ProviderError} where state has no such provider
   */
  async ensure(reference: string, previous: readonly ResourceState[]): Promise<void> {
    if (reference === "" || this.#providers.has(reference)) return;
    const { urn, id } = parseProviderReference(reference);
    const state = previous.find((candidate) => candidate.urn === urn && candidate.id === id);
    if (state === undefined) throw new ProviderError(`could not find provider ${reference} in state`);
    const loading = this.#loading.get(reference) ?? this.same(state, "state");
    this.#loading.set(reference, loading);
    await loading;
  }

  /** Configures a provider that hasn't changed. `from` says whether it was just checked or comes from state. */
  async same(state: ResourceState, from: "check" | "state"): Promise<void> {
    const reference = providerReference(state.urn, state.id);
    if (this.#providers.has(reference)) return;
    const checked = from === "check" ? this.#take(state.urn, unconfigured) : undefined;
    const provider = checked ?? (await this.#loadFor(state.urn, state.inputs));
    provider.configure({ urn: state.urn, id: state.id, inputs: without(state.inputs, internalKey) });
    this.#set(state.urn, state.id, provider);
  }

  async check(request: CheckRequest): Promise<CheckResult> {
    const provider = await this.#loadFor(request.urn, request.news);
    const olds = request.olds === undefined ? {} : without(request.olds, internalKey);
    const checked = await provider.checkConfig(request.urn, olds, without(request.news, internalKey));
    if (checked.failures.length > 0) {
      await provider.close();
      return checked;
    }
    this.#set(request.urn, unconfigured, provider);
    const version = request.news["version"];
    const internal = request.news[internalKey];
    return {
      inputs: {
        ...(version === undefined || checked.inputs["version"] !== undefined ? {} : { version }),
        ...checked.inputs,
        ...(internal === undefined ? {} : { [internalKey]: internal }),
      },
      failures: [],
    };
  }

  async diff(request: DiffRequest): Promise<DiffResult> {
    const provider =
      this.#providers.get(providerReference(request.urn, unconfigured)) ??
      this.#providers.get(providerReference(request.urn, request.id));
    if (provider === undefined) throw new ProviderError(`provider ${request.urn} isn't loaded`);
    const newInputs = without(request.newInputs, internalKey);
    const diff = await provider.diffConfig({
      urn: request.urn,
      oldInputs: without(request.oldInputs, internalKey),
      oldOutputs: request.oldOutputs,
      newInputs,
      ignoreChanges: request.ignoreChanges,
    });
    if (diff.changes !== "unknown") return diff;
    return { ...diff, changes: equalMaps(request.oldOutputs, newInputs) ? "none" : "some" };
  }

  async create(request: CreateRequest): Promise<CreateResult> {
    const provider = this.#take(request.urn, unconfigured) ?? (await this.#loadFor(request.urn, request.inputs));
    const id = request.preview ? unknownString : randomUUID();
    const outputs = without(request.inputs, internalKey);
    provider.configure({ urn: request.urn, id, inputs: outputs });
    this.#set(request.urn, id, provider);
    return { id, outputs, refreshBeforeUpdate: false };
  }

  async update(request: UpdateRequest): Promise<UpdateResult> {
    const provider = this.#take(request.urn, unconfigured);
    if (provider === undefined) throw new ProviderError(`provider ${request.urn} wasn't checked before its update`);
    const outputs = without(request.newInputs, internalKey);
    const previous = this.#providers.get(providerReference(request.urn, request.id));
    provider.configure({ urn: request.urn, id: request.id, inputs: outputs });
    this.#set(request.urn, request.id, provider);
    if (previous !== undefined && previous !== provider) await previous.close();
    return { outputs, refreshBeforeUpdate: false };
  }

  async delete(request: DeleteRequest): Promise<void> {
    await this.#take(request.urn, request.id)?.close();
  }

  read(): Promise<ReadResult> {
    return Promise.reject(new ProviderError("provider resources can't be read"));
  }

  #loadFor(urn: Urn, inputs: PropertyMap): Promise<Provider> {
    const internal = inputs[internalKey];
    if (
      isMap(internal) &&
      ["parameterization", "pluginDownloadURL", "envVarMappings"].some((key) => internal[key] !== undefined)
    ) {
      throw new ProviderError(`provider ${urn} is parameterized or downloaded, which needs the Pulumi CLI`);
    }
    const version = inputs["version"];
    return this.#load(providerPackage(urnType(urn)), typeof version === "string" ? version : "");
  }

  #set(urn: Urn, id: string, provider: Provider): void {
    this.#providers.set(providerReference(urn, id), provider);
    const alias = this.#aliases.get(urn);
    if (alias !== undefined) this.#providers.set(providerReference(alias, id), provider);
  }

  #take(urn: Urn, id: string): Provider | undefined {
    const reference = providerReference(urn, id);
    const provider = this.#providers.get(reference);
    this.#providers.delete(reference);
    return provider;
  }
}
