import * as grpc from "@grpc/grpc-js";
import emptypb from "google-protobuf/google/protobuf/empty_pb.js";
import resourcepb from "@pulumi/pulumi/proto/resource_pb.js";
import type { RegisterResourceOutputsRequest, RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb.js";
import { ResourceMonitorService } from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import { decodeProperties } from "../../../engine/src/providers/protocol/struct.ts";
import type { PropertyMap } from "../../../engine/src/providers/protocol/value.ts";

/** A registration as it came. */
export interface Registration {
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  readonly provider: string;
  readonly inputs: PropertyMap;
  readonly dependencies: readonly string[];
  readonly retainOnDelete: boolean;
}

/** A resource monitor that accepts and records every registration. */
export class RecordingMonitor {
  readonly registrations: Registration[] = [];
  readonly outputs: PropertyMap[] = [];
  readonly #server = new grpc.Server();

  /** @returns its address */
  async start(): Promise<string> {
    this.#server.addService(ResourceMonitorService, {
      registerResource: (
        call: grpc.ServerUnaryCall<RegisterResourceRequest, unknown>,
        callback: grpc.sendUnaryData<unknown>,
      ) => {
        const request = call.request;
        this.registrations.push({
          ...{ type: request.getType(), name: request.getName(), parent: request.getParent() },
          ...{ provider: request.getProvider(), inputs: decodeProperties(request.getObject()) },
          ...{ dependencies: request.getDependenciesList(), retainOnDelete: request.getRetainondelete() === true },
        });
        const response = new resourcepb.RegisterResourceResponse();
        response.setUrn(`urn:pulumi:lab::shield::${request.getType()}::${request.getName()}`);
        response.setId(request.getCustom() ? request.getName() : "");
        callback(null, response);
      },
      registerResourceOutputs: (
        call: grpc.ServerUnaryCall<RegisterResourceOutputsRequest, unknown>,
        callback: grpc.sendUnaryData<unknown>,
      ) => {
        this.outputs.push(decodeProperties(call.request.getOutputs()));
        callback(null, new emptypb.Empty());
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) {
          resolve(bound);
        } else {
          reject(error);
        }
      });
    });
    return `127.0.0.1:${port}`;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}
