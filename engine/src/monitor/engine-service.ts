import type { IEngineServer } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineProto from "@pulumi/pulumi/proto/engine_pb.js";
import Empty from "google-protobuf/google/protobuf/empty_pb.js";
import { satisfies } from "semver";
import type { EventSink, Severity } from "../deploy/event.ts";
import { handler } from "./server.ts";

/** The protocol version that programs may require (`requirePulumiVersion`). */
const protocolVersion = "3.259.0";
const severities: readonly Severity[] = ["debug", "info", "warning", "error"];

/**
 * The gRPC service `Engine` (`pulumi` `sdk/proto/pulumi/engine.proto`): messages of the program and of providers.
 * A logged error is shown and fails nothing by itself: a program that means to fail throws.
 */
export function engineService(emit: EventSink): IEngineServer {
  let rootResource = "";
  return {
    log: handler((request) => {
      const severity = severities[request.getSeverity()] ?? "info";
      // The SDK's debug messages spell out properties, secrets included, so they go nowhere.
      if (severity === "debug") return new Empty.Empty();
      emit({
        kind: "diagnostic",
        severity,
        urn: request.getUrn() || undefined,
        message: request.getMessage(),
        streamId: request.getStreamid(),
        ephemeral: request.getEphemeral(),
      });
      return new Empty.Empty();
    }),
    getRootResource: handler(() => new engineProto.GetRootResourceResponse().setUrn(rootResource)),
    setRootResource: handler((request) => {
      rootResource = request.getUrn();
      return new engineProto.SetRootResourceResponse();
    }),
    startDebugging: handler(() => Promise.reject(new Error("debugging a program needs the Pulumi CLI"))),
    requirePulumiVersion: handler((request) => {
      const range = request.getPulumiVersionRange();
      if (satisfies(protocolVersion, range)) return new engineProto.RequirePulumiVersionResponse();
      throw new Error(
        `the program requires Pulumi ${range}, and this engine speaks the protocol of ${protocolVersion}`,
      );
    }),
  };
}
