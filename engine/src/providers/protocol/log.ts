import * as grpc from "@grpc/grpc-js";
import enginepb from "@pulumi/pulumi/proto/engine_pb.js";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb.js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type { EngineLog } from "./provider.ts";

/** The log of an engine that listens at an address; without an address nothing is logged. */
export class RemoteLog implements EngineLog {
  #client: EngineClient | undefined;
  #address: string | undefined;

  constructor(address: string | undefined) {
    this.#address = address;
  }

  /** The engine may give its address later, in the handshake. */
  connect(address: string): void {
    this.#address ??= address;
  }

  status(urn: string, message: string): void {
    this.#send(urn, message, (request) => {
      request.setSeverity(enginepb.LogSeverity.INFO);
      request.setEphemeral(true);
    });
  }

  warning(urn: string, message: string): void {
    this.#send(urn, message, (request) => {
      request.setSeverity(enginepb.LogSeverity.WARNING);
    });
  }

  /** Ends the connection. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #send(urn: string, message: string, fill: (request: LogRequest) => void): void {
    if (this.#address === undefined || this.#address === "") {
      return;
    }
    this.#client ??= new EngineClient(this.#address, grpc.credentials.createInsecure());
    const request = new enginepb.LogRequest();
    request.setUrn(urn);
    request.setMessage(message);
    fill(request);
    this.#client.log(request, () => {
      // A line of the display that the engine did not take is lost; the operation itself goes on.
    });
  }
}
