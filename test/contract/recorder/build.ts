import { credentials, type ServiceError } from "@grpc/grpc-js";
import type { ConstructRequest, ConstructResponse } from "@pulumi/pulumi/proto/provider_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import resourceGrpc from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import resourceProto from "@pulumi/pulumi/proto/resource_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";

/**
 * Builds the component `Box` as providers do: registers it and one item below it, whose value is the box's, and says
 * what its outputs are.
 */
export async function buildBox(request: ConstructRequest): Promise<ConstructResponse> {
  const monitor = new resourceGrpc.ResourceMonitorClient(request.getMonitorendpoint(), credentials.createInsecure());
  try {
    const component = registration(request.getType(), request.getName(), request.getParent()).setObject(
      new struct.Struct(),
    );
    if (request.hasProtect()) component.setProtect(request.getProtect() === true);
    for (const [name, reference] of request.getProvidersMap().entries()) {
      component.getProvidersMap().set(name, reference);
    }
    const urn = (await register(monitor, component)).getUrn();
    const item = registration("recorder:index:Item", `${request.getName()}-item`, urn).setCustom(true);
    item.setObject(request.getInputs()).setProvider(request.getProvidersMap().get("recorder") ?? "");
    const made = await register(monitor, item);
    const outputs = new struct.Struct();
    const answer = made.getObject()?.getFieldsMap().get("result");
    if (answer !== undefined) outputs.getFieldsMap().set("answer", answer);
    await completed(monitor, new resourceProto.RegisterResourceOutputsRequest().setUrn(urn).setOutputs(outputs));
    const dependencies = new providerProto.ConstructResponse.PropertyDependencies().setUrnsList([made.getUrn()]);
    const response = new providerProto.ConstructResponse().setUrn(urn).setState(outputs);
    response.getStatedependenciesMap().set("answer", dependencies);
    return response;
  } finally {
    monitor.close();
  }
}

type Registration = InstanceType<typeof resourceProto.RegisterResourceRequest>;
type Registered = InstanceType<typeof resourceProto.RegisterResourceResponse>;

function registration(type: string, name: string, parent: string): Registration {
  return new resourceProto.RegisterResourceRequest()
    .setType(type)
    .setName(name)
    .setParent(parent)
    .setAcceptsecrets(true)
    .setAcceptresources(true)
    .setAliasspecs(true)
    .setSupportspartialvalues(true);
}

function register(monitor: resourceGrpc.ResourceMonitorClient, request: Registration): Promise<Registered> {
  return new Promise((resolve, reject) => {
    monitor.registerResource(request, (error: ServiceError | null, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
  });
}

function completed(
  monitor: resourceGrpc.ResourceMonitorClient,
  request: InstanceType<typeof resourceProto.RegisterResourceOutputsRequest>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    monitor.registerResourceOutputs(request, (error: ServiceError | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
