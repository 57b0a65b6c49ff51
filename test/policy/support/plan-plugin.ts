import { promisify } from "node:util";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { ResourceMonitorClient } from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import resourceProto, { type RegisterResourceResponse } from "@pulumi/pulumi/proto/resource_pb.js";
import { runPlugin } from "../../../engine/src/providers/protocol/main.ts";
import type {
  CheckedResult,
  CheckRequest,
  CheckResult,
  ConstructRequest,
  ConstructResult,
  CreateRequest,
  DiffResult,
  ReadRequest,
  ReadResult,
  ResourceProvider,
} from "../../../engine/src/providers/protocol/provider.ts";
import { encodeProperties } from "../../../engine/src/providers/protocol/struct.ts";
import type { PropertyMap } from "../../../engine/src/providers/protocol/value.ts";

/** What the plugin is never asked for while a plan of a new stack is made. */
function planOnly(what: string): Promise<never> {
  return Promise.reject(new Error(`the plan plugin can't ${what}: it serves plans of new stacks`));
}

/**
 * What the embedded engine's plan provider is, as a plugin for the Pulumi CLI, which has no such thing: it takes every
 * type, gives back the inputs and reaches no cloud.
 */
class PlanPlugin implements ResourceProvider {
  readonly name = "plan";
  readonly version = "0.0.0";

  checkConfig({ news }: CheckRequest): Promise<CheckResult> {
    return Promise.resolve({ inputs: news });
  }
  diffConfig(): Promise<DiffResult> {
    return planOnly("compare");
  }
  configure(): Promise<void> {
    return Promise.resolve();
  }
  check({ news }: CheckRequest): Promise<CheckResult> {
    return Promise.resolve({ inputs: news });
  }
  diff(): Promise<DiffResult> {
    return planOnly("compare");
  }
  create({ inputs, preview }: CreateRequest): Promise<{ readonly id: string; readonly properties: PropertyMap }> {
    return preview ? Promise.resolve({ id: "", properties: inputs }) : planOnly("create");
  }
  update(): Promise<PropertyMap> {
    return planOnly("update");
  }
  read({ id, inputs, properties }: ReadRequest): Promise<ReadResult> {
    return Promise.resolve({ id, inputs, properties });
  }
  delete(): Promise<void> {
    return planOnly("delete");
  }
  /** Nothing is known of what a cloud would answer. */
  invoke(): Promise<CheckedResult> {
    return Promise.resolve({ result: {} });
  }
  /** A component is registered with its inputs and without children, as the embedded engine's plan has it. */
  async construct(request: ConstructRequest): Promise<ConstructResult> {
    const monitor = new ResourceMonitorClient(request.monitorAddress, credentials.createInsecure());
    try {
      const message = new resourceProto.RegisterResourceRequest()
        .setType(request.type)
        .setName(request.name)
        .setParent(request.parent)
        .setCustom(false)
        .setAcceptsecrets(true)
        .setObject(encodeProperties(request.inputs))
        .setDependenciesList([...request.dependencies]);
      if (request.protect !== undefined) message.setProtect(request.protect);
      const register = monitor.registerResource.bind(monitor) as (
        sent: typeof message,
        done: (error: ServiceError | null, response: RegisterResourceResponse) => void,
      ) => void;
      const { urn } = (await promisify(register)(message)).toObject();
      return { urn, state: {} };
    } finally {
      monitor.close();
    }
  }
  cancel(): Promise<void> {
    return Promise.resolve();
  }
}

await runPlugin(() => new PlanPlugin());
