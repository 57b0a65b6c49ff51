import { diffProperties } from "./diff.ts";
import { NeedsPulumiCli } from "./errors.ts";
import type {
  CheckRequest,
  CheckResult,
  CheckedResult,
  ConstructRequest,
  ConstructResult,
  CreateRequest,
  DeleteRequest,
  DiffRequest,
  DiffResult,
  ReadRequest,
  ReadResult,
  ResourceProvider,
  UpdateRequest,
} from "./provider.ts";
import type { PropertyMap } from "./value.ts";

/** How one resource type is checked, compared, made, changed, read and removed. */
export interface ResourceType {
  check(request: CheckRequest): Promise<CheckResult> | CheckResult;
  diff(request: DiffRequest): Promise<DiffResult> | DiffResult;
  create(request: CreateRequest): Promise<{ readonly id: string; readonly properties: PropertyMap }>;
  update(request: UpdateRequest): Promise<PropertyMap>;
  read(request: ReadRequest): Promise<ReadResult | undefined>;
  delete(request: DeleteRequest): Promise<void>;
}
/** A function of a package: arguments to result. */
export type ProviderFunction = (inputs: PropertyMap) => Promise<CheckedResult>;

/** A provider that is a table of resource types and functions; what is not in it is refused by name. */
export class TypedProvider implements ResourceProvider {
  readonly name: string;
  readonly version: string;
  readonly #types: ReadonlyMap<string, ResourceType>;
  readonly #functions: ReadonlyMap<string, ProviderFunction>;

  constructor(options: {
    readonly name: string;
    readonly version: string;
    /** Type token to type. */
    readonly types: Readonly<Record<string, ResourceType>>;
    /** Function token to function. */
    readonly functions?: Readonly<Record<string, ProviderFunction>>;
  }) {
    this.name = options.name;
    this.version = options.version;
    this.#types = new Map(Object.entries(options.types));
    this.#functions = new Map(Object.entries(options.functions ?? {}));
  }

  checkConfig(request: CheckRequest): Promise<CheckResult> {
    return Promise.resolve({ inputs: request.news });
  }

  diffConfig(request: DiffRequest): Promise<DiffResult> {
    return Promise.resolve(diffProperties(request.olds, request.news, { replaces: () => false }));
  }

  /** Takes no configuration; a package that has one overrides this. */
  configure(inputs: PropertyMap): Promise<void> {
    const unsupported = Object.keys(inputs).filter((key) => key !== "version" && !key.startsWith("__"));
    return unsupported.length === 0
      ? Promise.resolve()
      : Promise.reject(new NeedsPulumiCli(`configuration ${this.name}:${unsupported.join(", ")}`));
  }

  async check(request: CheckRequest): Promise<CheckResult> {
    return this.#type(request.type).check(request);
  }

  async diff(request: DiffRequest): Promise<DiffResult> {
    return this.#type(request.type).diff(request);
  }

  async create(request: CreateRequest): Promise<{ readonly id: string; readonly properties: PropertyMap }> {
    return this.#type(request.type).create(request);
  }

  async update(request: UpdateRequest): Promise<PropertyMap> {
    return this.#type(request.type).update(request);
  }

  async read(request: ReadRequest): Promise<ReadResult | undefined> {
    return this.#type(request.type).read(request);
  }

  async delete(request: DeleteRequest): Promise<void> {
    return this.#type(request.type).delete(request);
  }

  async invoke(token: string, inputs: PropertyMap): Promise<CheckedResult> {
    const call = this.#functions.get(token);
    if (call === undefined) {
      throw new NeedsPulumiCli(`function ${token}`);
    }
    return call(inputs);
  }

  construct(request: ConstructRequest): Promise<ConstructResult> {
    return Promise.reject(new NeedsPulumiCli(`component type ${request.type}`));
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }

  #type(token: string): ResourceType {
    const type = this.#types.get(token);
    if (type === undefined) {
      throw new NeedsPulumiCli(`resource type ${token}`);
    }
    return type;
  }
}
