import * as grpc from "@grpc/grpc-js";
import anypb from "google-protobuf/google/protobuf/any_pb.js";
import providerpb from "@pulumi/pulumi/proto/provider_pb.js";
import statuspb from "@pulumi/pulumi/proto/status_pb.js";
import { encodeProperties } from "./struct.ts";
import type { PropertyMap } from "./value.ts";

/** A failure that providers report to the engine. */
export class ProviderError extends Error {
  /** The gRPC status that says what kind of failure it is. */
  readonly code: grpc.status;
  constructor(message: string, code: grpc.status = grpc.status.UNKNOWN, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A resource type, function or option that these providers don't have. The Pulumi CLI and the real plugin do. */
export class NeedsPulumiCli extends ProviderError {
  /** @param what for instance "resource type aws:s3/bucket:Bucket" */
  constructor(what: string) {
    super(`${what} needs the Pulumi CLI`, grpc.status.UNIMPLEMENTED);
  }
}

/**
 * The resource exists but did not become ready; the engine keeps `properties` in the state and the reasons with them
 * (`pulumirpc.ErrorResourceInitFailed`).
 */
export class InitializationFailed extends ProviderError {
  readonly id: string;
  readonly properties: PropertyMap;
  readonly reasons: readonly string[];
  readonly inputs: PropertyMap | undefined;
  constructor(message: string, id: string, properties: PropertyMap, reasons: readonly string[], inputs?: PropertyMap) {
    super(message);
    this.id = id;
    this.properties = properties;
    this.reasons = reasons;
    this.inputs = inputs;
  }
}

/** @returns the error as gRPC carries it, with the structured detail that the engine reads */
export function toServiceError(error: unknown): Partial<grpc.StatusObject> {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof ProviderError ? error.code : grpc.status.UNKNOWN;
  if (!(error instanceof InitializationFailed)) {
    return { code, details: message };
  }
  const detail = new providerpb.ErrorResourceInitFailed();
  detail.setId(error.id);
  detail.setProperties(encodeProperties(error.properties));
  detail.setReasonsList([...error.reasons]);
  if (error.inputs !== undefined) {
    detail.setInputs(encodeProperties(error.inputs));
  }
  const any = new anypb.Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new statuspb.Status();
  status.setCode(code);
  status.setMessage(message);
  status.addDetails(any);
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return { code, details: message, metadata };
}
