import type { PropertyMap } from "../property/value.ts";
import { inputDiffResult } from "./input-diff.ts";
import type {
  CallResult,
  CheckRequest,
  CheckResult,
  ConstructResult,
  CreateRequest,
  CreateResult,
  DiffRequest,
  DiffResult,
  InvokeResult,
  Provider,
  ReadRequest,
  ReadResult,
  UpdateRequest,
  UpdateResult,
} from "./provider.ts";
import { ProviderError } from "./provider.ts";

/** Only a plan may be made with it. */
function planOnly(what: string): Promise<never> {
  return Promise.reject(
    new ProviderError(`the plan provider can't ${what}: it makes previews only and reaches no cloud`),
  );
}

/**
 * Stands in for any provider in a preview: it accepts every type, takes the inputs as they are and leaves unknown
 * what a cloud would compute. For golden plans and policy checks offline; `up` refuses it.
 */
export class PlanProvider implements Provider {
  readonly findsByInputs = false;
  readonly buildsComponents = false;

  checkConfig(_urn: string, _olds: PropertyMap, news: PropertyMap): Promise<CheckResult> {
    return Promise.resolve({ inputs: news, failures: [] });
  }

  diffConfig(request: Omit<DiffRequest, "id" | "preview">): Promise<DiffResult> {
    return Promise.resolve(inputDiffResult(request.oldInputs, request.newInputs));
  }

  configure(): void {
    // Nothing to connect to.
  }

  check(request: CheckRequest): Promise<CheckResult> {
    return Promise.resolve({ inputs: request.news, failures: [] });
  }

  diff(request: DiffRequest): Promise<DiffResult> {
    return Promise.resolve(inputDiffResult(request.oldInputs, request.newInputs));
  }

  create(request: CreateRequest): Promise<CreateResult> {
    if (!request.preview) return planOnly("create");
    return Promise.resolve({ id: "", outputs: request.inputs, refreshBeforeUpdate: false });
  }

  update(request: UpdateRequest): Promise<UpdateResult> {
    if (!request.preview) return planOnly("update");
    return Promise.resolve({ outputs: request.newInputs, refreshBeforeUpdate: false });
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return Promise.resolve({
      id: request.id,
      inputs: request.inputs,
      outputs: request.state,
      refreshBeforeUpdate: false,
    });
  }

  delete(): Promise<void> {
    return planOnly("delete");
  }

  /** What a cloud would answer isn't known: the caller gets an unknown. */
  invoke(): Promise<InvokeResult> {
    return Promise.resolve({ outputs: {}, failures: [], unknown: true });
  }

  construct(): Promise<ConstructResult> {
    return planOnly("build components");
  }

  call(): Promise<CallResult> {
    return planOnly("call methods of components");
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
