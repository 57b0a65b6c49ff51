import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import resourcepb from "@pulumi/pulumi/proto/resource_pb.js";
import type { RegisterResourceResponse } from "@pulumi/pulumi/proto/resource_pb.js";
import type { Alias } from "@pulumi/pulumi/proto/alias_pb.js";
import { ResourceMonitorService, type ResourceMonitorClient } from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import { withEncodedStructs } from "../../../grpc/service.ts";
import type { ConstructRequest } from "../../protocol/provider.ts";
import { encodeProperties } from "../../protocol/struct.ts";
import type { PropertyMap } from "../../protocol/value.ts";

/** A child of a component. */
export interface Child {
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  readonly inputs: PropertyMap;
  readonly dependencies: readonly string[];
  /** Reference of the provider; empty for the default one. */
  readonly provider: string;
  readonly retention: "deleted" | "retained";
}

/** Answers hold what the caller gave and more; a component needs none of it. */
const MonitorClient = grpc.makeGenericClientConstructor(
  withEncodedStructs(ResourceMonitorService),
  "ResourceMonitor",
) as unknown as typeof ResourceMonitorClient;

/** The engine's resource monitor, as far as a component needs it. */
export class ResourceMonitor {
  readonly #client: ResourceMonitorClient;

  constructor(address: string) {
    const limit = 400 * 1024 * 1024;
    this.#client = new MonitorClient(address, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": limit,
      "grpc.max_send_message_length": limit,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Registers the component itself, with the options that it was asked for with. @returns its URN */
  async component(request: ConstructRequest): Promise<string> {
    const message = new resourcepb.RegisterResourceRequest();
    message.setType(request.type);
    message.setName(request.name);
    message.setParent(request.parent);
    message.setCustom(false);
    message.setAcceptsecrets(true);
    message.setAcceptresources(true);
    message.setObject(encodeProperties({}));
    message.setDependenciesList([...request.dependencies]);
    message.setAliasesList(request.aliases as Alias[]);
    message.setAliasspecs(true);
    message.setDeletedwith(request.deletedWith);
    if (request.protect !== undefined) {
      message.setProtect(request.protect);
    }
    if (request.retainOnDelete !== undefined) {
      message.setRetainondelete(request.retainOnDelete);
    }
    for (const [name, reference] of request.providers) {
      message.getProvidersMap().set(name, reference);
    }
    return (await this.#register(message)).getUrn();
  }

  /** Registers a child and waits until the engine has made it. */
  async child(child: Child): Promise<{ readonly urn: string; readonly id: string }> {
    const message = new resourcepb.RegisterResourceRequest();
    message.setType(child.type);
    message.setName(child.name);
    message.setParent(child.parent);
    message.setCustom(true);
    message.setAcceptsecrets(true);
    message.setAcceptresources(true);
    message.setAliasspecs(true);
    message.setSupportspartialvalues(true);
    message.setObject(encodeProperties(child.inputs));
    message.setDependenciesList([...child.dependencies]);
    message.setProvider(child.provider);
    if (child.retention === "retained") {
      message.setRetainondelete(true);
    }
    const response = await this.#register(message);
    return { urn: response.getUrn(), id: response.getId() };
  }

  /** Says that the component is complete. */
  async outputs(urn: string, outputs: PropertyMap): Promise<void> {
    const message = new resourcepb.RegisterResourceOutputsRequest();
    message.setUrn(urn);
    message.setOutputs(encodeProperties(outputs));
    const call = this.#client.registerResourceOutputs.bind(this.#client) as (
      request: typeof message,
      callback: (error: grpc.ServiceError | null, response: unknown) => void,
    ) => void;
    await promisify(call)(message);
  }

  async #register(message: InstanceType<typeof resourcepb.RegisterResourceRequest>): Promise<RegisterResourceResponse> {
    const call = this.#client.registerResource.bind(this.#client) as (
      request: typeof message,
      callback: (error: grpc.ServiceError | null, response: RegisterResourceResponse) => void,
    ) => void;
    return promisify(call)(message);
  }
}
