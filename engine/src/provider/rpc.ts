import type { status as codes, Metadata, ServiceError } from "@grpc/grpc-js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import errorsProto from "@pulumi/pulumi/proto/errors_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import { EncodedStruct, mapOf } from "../grpc/encoded-struct.ts";
import { fromWire, toWire, type WireOptions } from "../property/wire.ts";
import type { PropertyMap } from "../property/value.ts";
import { InitError, ProviderError } from "./provider.ts";

/** The largest message either side may send; states of whole charts are large. */
export const maximumMessageBytes = 400 * 1024 * 1024;

/** Channel and server options of all connections. Channelz keeps statistics that nobody asks for here. */
export const channelOptions = {
  "grpc.enable_channelz": 0,
  "grpc.max_receive_message_length": maximumMessageBytes,
  "grpc.max_send_message_length": maximumMessageBytes,
};

/** A map of properties as a protobuf Struct. */
export function toStruct(map: PropertyMap, options: WireOptions): Struct {
  return EncodedStruct.of(toWire(map, options));
}

/** The properties of a protobuf Struct; an absent one is empty. */
export function fromStruct(message: Struct | undefined): PropertyMap {
  return message === undefined ? {} : fromWire(mapOf(message));
}

/** The callback of a unary call. */
export type UnaryCallback<Response> = (error: ServiceError | null, response: Response) => void;

/** A unary call as a promise. Errors come as they are; see {@link providerError}. */
export function unary<Response>(start: (callback: UnaryCallback<Response>) => unknown): Promise<Response> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
  });
}

/** True for an error with the given gRPC status. */
export function hasStatus(error: unknown, code: codes): error is ServiceError {
  return error instanceof Error && "code" in error && error.code === code;
}

const detailsHeader = "grpc-status-details-bin";

function detailsOf(error: Error): readonly { readonly type: string; readonly bytes: Uint8Array }[] {
  const metadata = "metadata" in error ? (error.metadata as Metadata | undefined) : undefined;
  const [bytes] = metadata?.get(detailsHeader) ?? [];
  if (!(bytes instanceof Uint8Array)) return [];
  return statusProto.Status.deserializeBinary(bytes)
    .getDetailsList()
    .map((detail) => ({ type: detail.getTypeName(), bytes: detail.getValue_asU8() }));
}

/**
 * A failed call to a provider as an error of the engine: a resource that exists but isn't ready is an
 * {@link InitError}, everything else a {@link ProviderError} whose message names the offending properties.
 */
export function providerError(error: unknown): Error {
  if (!(error instanceof Error) || !("details" in error))
    return error instanceof Error ? error : new Error(String(error));
  let message = String(error.details);
  for (const detail of detailsOf(error)) {
    if (detail.type === "pulumirpc.ErrorResourceInitFailed") {
      const failure = providerProto.ErrorResourceInitFailed.deserializeBinary(detail.bytes);
      return new InitError({
        reasons: failure.getReasonsList(),
        id: failure.getId(),
        outputs: fromStruct(failure.getProperties()),
        inputs: failure.hasInputs() ? fromStruct(failure.getInputs()) : undefined,
        refreshBeforeUpdate: failure.getRefreshBeforeUpdate(),
      });
    }
    if (detail.type === "pulumirpc.ErrorCause") {
      message += `: ${errorsProto.ErrorCause.deserializeBinary(detail.bytes).getMessage()}`;
    }
    if (detail.type === "pulumirpc.InputPropertiesError") {
      for (const problem of errorsProto.InputPropertiesError.deserializeBinary(detail.bytes).getErrorsList()) {
        message += `\n\t\t- property ${problem.getPropertyPath()} has a problem: ${problem.getReason()}`;
      }
    }
    if (detail.type === "pulumirpc.ConfigureErrorMissingKeys") {
      const missing = providerProto.ConfigureErrorMissingKeys.deserializeBinary(detail.bytes).getMissingkeysList();
      message = missing
        .map((key) => `missing required configuration key "${key.getName()}": ${key.getDescription()}`)
        .join("\n");
    }
  }
  return new ProviderError(message);
}
