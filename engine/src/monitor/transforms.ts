import resourceProto from "@pulumi/pulumi/proto/resource_pb.js";
import type { TransformInvokeOptions, TransformResourceOptions } from "@pulumi/pulumi/proto/resource_pb.js";
import type { Callback } from "@pulumi/pulumi/proto/callback_pb.js";
import type { PropertyMap } from "../property/value.ts";
import type { WireOptions } from "../property/wire.ts";
import { fromStruct, toStruct } from "../provider/rpc.ts";
import type { Urn } from "../resource/urn.ts";
import type { Callbacks } from "./callbacks.ts";

/** Everything is kept on the way to a transform. */
const wire: WireOptions = { secrets: true, references: true, outputs: true, unknowns: true };

/** What a transform may change of a resource. */
export interface Transformed {
  readonly properties: PropertyMap;
  readonly options: TransformResourceOptions;
}

/** A resource, as transforms see it. */
export interface Transformable {
  readonly name: string;
  readonly type: string;
  readonly custom: boolean;
  readonly parent: Urn;
}

/** Lets a function of the program change a resource's properties and options. */
export async function transformResource(
  callbacks: Callbacks,
  callback: Callback,
  resource: Transformable,
  before: Transformed,
): Promise<Transformed> {
  const request = new resourceProto.TransformRequest()
    .setName(resource.name)
    .setType(resource.type)
    .setCustom(resource.custom)
    .setParent(resource.parent)
    .setProperties(toStruct(before.properties, wire))
    .setOptions(before.options);
  const bytes = await callbacks.invoke(callback, request.serializeBinary());
  const response = resourceProto.TransformResponse.deserializeBinary(bytes);
  return {
    properties: response.hasProperties() ? fromStruct(response.getProperties()) : before.properties,
    options: response.getOptions() ?? before.options,
  };
}

/** Lets a function of the program change an invoke's arguments and options. */
export async function transformInvoke(
  callbacks: Callbacks,
  callback: Callback,
  token: string,
  before: { readonly args: PropertyMap; readonly options: TransformInvokeOptions },
): Promise<{ readonly args: PropertyMap; readonly options: TransformInvokeOptions }> {
  const request = new resourceProto.TransformInvokeRequest()
    .setToken(token)
    .setArgs(toStruct(before.args, wire))
    .setOptions(before.options);
  const bytes = await callbacks.invoke(callback, request.serializeBinary());
  const response = resourceProto.TransformInvokeResponse.deserializeBinary(bytes);
  return {
    args: response.hasArgs() ? fromStruct(response.getArgs()) : before.args,
    options: response.getOptions() ?? before.options,
  };
}
