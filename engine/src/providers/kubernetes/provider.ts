import { NeedsPulumiCli, ProviderError } from "../protocol/errors.ts";
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
  EngineLog,
  ReadRequest,
  ReadResult,
  ResourceProvider,
  UpdateRequest,
} from "../protocol/provider.ts";
import type { PropertyMap } from "../protocol/value.ts";
import { Cluster } from "./cluster.ts";
import { checkObject } from "./check.ts";
import { diffObject } from "./compare.ts";
import { constructChart } from "./helm/chart.ts";
import { deleteObject } from "./delete.ts";
import { readObject } from "./read.ts";
import { createObject, updateObject } from "./write.ts";
import { checkProviderConfig, diffProviderConfig } from "./provider-config.ts";
import { readSettings } from "./settings.ts";

/** Types of the package that are no objects of the API, and need the real provider. */
const foreign = /^kubernetes:(helm\.sh|yaml|kustomize)/;

/** The package `kubernetes`: every kind that the cluster serves, and `helm.sh/v4:Chart`. */
export class KubernetesProvider implements ResourceProvider {
  readonly name = "kubernetes";
  readonly version = "4.34.2";
  readonly #log: EngineLog;
  #cluster: Cluster | undefined;

  constructor(log: EngineLog) {
    this.#log = log;
  }

  checkConfig(request: CheckRequest): Promise<CheckResult> {
    return Promise.resolve(checkProviderConfig(request));
  }

  diffConfig(request: DiffRequest): Promise<DiffResult> {
    return Promise.resolve(diffProviderConfig(request));
  }

  configure(inputs: PropertyMap): Promise<void> {
    this.#cluster?.cancel();
    this.#cluster = new Cluster(readSettings(inputs), this.#log);
    return Promise.resolve();
  }

  async check(request: CheckRequest): Promise<CheckResult> {
    return checkObject(this.#of(request), request);
  }

  async diff(request: DiffRequest): Promise<DiffResult> {
    return diffObject(this.#of(request), request);
  }

  async create(request: CreateRequest): Promise<{ readonly id: string; readonly properties: PropertyMap }> {
    return createObject(this.#of(request), request);
  }

  async update(request: UpdateRequest): Promise<PropertyMap> {
    return updateObject(this.#of(request), request);
  }

  async read(request: ReadRequest): Promise<ReadResult | undefined> {
    return readObject(this.#of(request), request);
  }

  async delete(request: DeleteRequest): Promise<void> {
    return deleteObject(this.#of(request), request);
  }

  invoke(token: string): Promise<CheckedResult> {
    return Promise.reject(new NeedsPulumiCli(`function ${token}`));
  }

  construct(request: ConstructRequest): Promise<ConstructResult> {
    return request.type === "kubernetes:helm.sh/v4:Chart"
      ? constructChart(this.#configured(), request)
      : Promise.reject(new NeedsPulumiCli(`component type ${request.type}`));
  }

  cancel(): Promise<void> {
    this.#cluster?.cancel();
    return Promise.resolve();
  }

  /** The cluster for a request about an object; what is no object is refused by name. */
  #of({ type }: { readonly type: string }): Cluster {
    if (foreign.test(type)) {
      throw new NeedsPulumiCli(`resource type ${type}`);
    }
    return this.#configured();
  }

  #configured(): Cluster {
    if (this.#cluster === undefined) {
      throw new ProviderError("the Kubernetes provider is not configured");
    }
    return this.#cluster;
  }
}
