import { randomUUID } from "node:crypto";
import { equalValues } from "../property/equal.ts";
import { containsSecrets, Unknown, type PropertyMap } from "../property/value.ts";
import type { ResourceState } from "../resource/state.ts";
import { urnType, type Urn } from "../resource/urn.ts";
import {
  noDiff,
  ProviderError,
  UnsupportedProviderError,
  type CallResult,
  type CheckRequest,
  type CheckResult,
  type ConstructResult,
  type CreateRequest,
  type CreateResult,
  type DiffRequest,
  type DiffResult,
  type InvokeResult,
  type Provider,
  type ReadRequest,
  type ReadResult,
  type UpdateRequest,
  type UpdateResult,
} from "./provider.ts";

const stackReference = "pulumi:pulumi:StackReference";
const stash = "pulumi:index:Stash";

/** What the built-in provider asks of the engine. */
export interface BuiltinSources {
  /** The outputs of a stack by its name: `stack`, `organization/project/stack`. */
  stackOutputs(name: string): Promise<PropertyMap>;
  /** A resource of this deployment. */
  resource(urn: Urn): ResourceState | undefined;
}

/** The package `pulumi`: stack references, stashes and the look-up of resources (`pulumi` `deploy/builtins.go`). */
export class BuiltinProvider implements Provider {
  readonly findsByInputs = false;
  readonly buildsComponents = true;
  readonly #sources: BuiltinSources;

  constructor(sources: BuiltinSources) {
    this.#sources = sources;
  }

  checkConfig(_urn: Urn, _olds: PropertyMap, news: PropertyMap): Promise<CheckResult> {
    return Promise.resolve({ inputs: news, failures: [] });
  }

  diffConfig(): Promise<DiffResult> {
    return Promise.resolve(noDiff);
  }

  configure(): void {
    // It has no configuration.
  }

  check(request: CheckRequest): Promise<CheckResult> {
    const type = urnType(request.urn);
    const property = this.#property(type);
    const failures = Object.keys(request.news)
      .filter((key) => key !== property)
      .map((key) => ({ property: key, reason: `unknown property "${key}"` }));
    if (request.news[property] === undefined) {
      failures.push({ property, reason: `missing required property "${property}"` });
    }
    return Promise.resolve({ inputs: request.news, failures });
  }

  diff(request: DiffRequest): Promise<DiffResult> {
    const property = this.#property(urnType(request.urn));
    if (equalValues(request.newInputs[property] ?? null, request.oldInputs[property] ?? null))
      return Promise.resolve(noDiff);
    const keys = property === "name" ? { replaceKeys: [property] } : { changedKeys: [property] };
    return Promise.resolve({ ...noDiff, ...keys, changes: "some" });
  }

  async create(request: CreateRequest): Promise<CreateResult> {
    const id = request.preview ? "" : randomUUID();
    const outputs =
      urnType(request.urn) === stackReference
        ? await this.#readStack(request.inputs)
        : { input: request.inputs["input"] ?? null, output: request.inputs["input"] ?? null };
    return { id, outputs, refreshBeforeUpdate: false };
  }

  update(request: UpdateRequest): Promise<UpdateResult> {
    const outputs = { input: request.newInputs["input"] ?? null, output: request.oldOutputs["output"] ?? null };
    return Promise.resolve({ outputs, refreshBeforeUpdate: false });
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const type = urnType(request.urn);
    this.#property(type);
    if (request.inputs === undefined || Object.keys(request.inputs).length === 0) {
      throw new ProviderError(`${type} can not be imported`);
    }
    const outputs = type === stackReference ? await this.#readStack(request.inputs) : request.state;
    return { id: request.id, inputs: request.inputs, outputs, refreshBeforeUpdate: false };
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  async invoke(token: string, args: PropertyMap): Promise<InvokeResult> {
    if (token === "pulumi:pulumi:readStackOutputs") return { outputs: await this.#readStack(args), failures: [] };
    if (token !== "pulumi:pulumi:getResource") throw new UnsupportedProviderError(`function ${token}`);
    const urn = args["urn"];
    const state = typeof urn === "string" ? this.#sources.resource(urn) : undefined;
    if (state === undefined) throw new ProviderError(`unknown resource ${typeof urn === "string" ? urn : "(no urn)"}`);
    return {
      outputs: { urn: state.urn, id: state.id, provider: state.provider, state: state.outputs },
      failures: [],
    };
  }

  construct(): Promise<ConstructResult> {
    return Promise.reject(new ProviderError("built-in resources can't be constructed"));
  }

  call(): Promise<CallResult> {
    return Promise.reject(new ProviderError("built-in resources have no methods"));
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #property(type: string): "name" | "input" {
    if (type === stackReference) return "name";
    if (type === stash) return "input";
    throw new UnsupportedProviderError(`resource type ${type}`);
  }

  async #readStack(inputs: PropertyMap): Promise<PropertyMap> {
    const name = inputs["name"];
    if (name instanceof Unknown) return { name, outputs: name, secretOutputNames: name };
    if (typeof name !== "string") throw new ProviderError('a stack reference needs a "name"');
    const outputs = await this.#sources.stackOutputs(name);
    const secretOutputNames = Object.entries(outputs)
      .filter(([, value]) => containsSecrets(value))
      .map(([key]) => key)
      .sort();
    return { name, outputs, secretOutputNames };
  }
}
