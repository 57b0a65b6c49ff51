import { credentials } from "@grpc/grpc-js";
import callbackGrpc from "@pulumi/pulumi/proto/callback_grpc_pb.js";
import callbackProto from "@pulumi/pulumi/proto/callback_pb.js";
import type { Callback } from "@pulumi/pulumi/proto/callback_pb.js";
import { channelOptions, providerError, unary } from "../provider/rpc.ts";

/** Calls functions that live in the program (transforms and hooks). */
export class Callbacks {
  readonly #clients = new Map<string, InstanceType<typeof callbackGrpc.CallbacksClient>>();

  /** Calls a function of the program with a serialized request and returns its serialized answer. */
  async invoke(callback: Callback, request: Uint8Array): Promise<Uint8Array> {
    const target = callback.getTarget();
    let client = this.#clients.get(target);
    if (client === undefined) {
      client = new callbackGrpc.CallbacksClient(target, credentials.createInsecure(), channelOptions);
      this.#clients.set(target, client);
    }
    const connected = client;
    const message = new callbackProto.CallbackInvokeRequest().setToken(callback.getToken()).setRequest(request);
    try {
      const response = await unary<InstanceType<typeof callbackProto.CallbackInvokeResponse>>((done) =>
        connected.invoke(message, done),
      );
      return response.getResponse_asU8();
    } catch (error) {
      throw providerError(error);
    }
  }

  /** Closes all connections. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
