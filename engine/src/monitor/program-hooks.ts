import resourceProto from "@pulumi/pulumi/proto/resource_pb.js";
import type { Callback } from "@pulumi/pulumi/proto/callback_pb.js";
import type { ErrorHook, Hook, HookCall } from "../deploy/hooks.ts";
import type { PropertyMap } from "../property/value.ts";
import { toStruct } from "../provider/rpc.ts";
import { urnName } from "../resource/urn.ts";
import type { Callbacks } from "./callbacks.ts";

const struct = (map: PropertyMap | undefined) =>
  map && toStruct(map, { secrets: true, references: true, outputs: true, unknowns: true });

/** A hook whose function lives in the program. */
export function programHook(callbacks: Callbacks, callback: Callback): Hook["run"] {
  return async (call) => {
    const request = new resourceProto.ResourceHookRequest()
      .setUrn(call.state.urn)
      .setId(call.state.id)
      .setName(urnName(call.state.urn))
      .setType(call.state.type)
      .setNewInputs(struct(call.newInputs))
      .setOldInputs(struct(call.oldInputs))
      .setNewOutputs(struct(call.newOutputs))
      .setOldOutputs(struct(call.oldOutputs));
    const bytes = await callbacks.invoke(callback, request.serializeBinary());
    const error = resourceProto.ResourceHookResponse.deserializeBinary(bytes).getError();
    if (error !== "") throw new Error(error);
  };
}

/** An error hook whose function lives in the program. */
export function programErrorHook(callbacks: Callbacks, callback: Callback): ErrorHook {
  return async (call: HookCall, failed) => {
    const request = new resourceProto.ErrorHookRequest()
      .setUrn(call.state.urn)
      .setId(call.state.id)
      .setName(urnName(call.state.urn))
      .setType(call.state.type)
      .setNewInputs(struct(call.newInputs))
      .setOldInputs(struct(call.oldInputs))
      .setOldOutputs(struct(call.oldOutputs))
      .setFailedOperation(failed.operation)
      .setErrorsList([...failed.errors]);
    const bytes = await callbacks.invoke(callback, request.serializeBinary());
    const response = resourceProto.ErrorHookResponse.deserializeBinary(bytes);
    if (response.getError() !== "") throw new Error(response.getError());
    return response.getRetry();
  };
}
