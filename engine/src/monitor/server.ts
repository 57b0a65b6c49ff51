import {
  Server,
  ServerCredentials,
  status as codes,
  type sendUnaryData,
  type ServerUnaryCall,
  type StatusObject,
} from "@grpc/grpc-js";
import { ShutDownError } from "../deploy/errors.ts";
import { channelOptions } from "../provider/rpc.ts";

/** A gRPC server on a loopback port of its own. */
export interface RunningServer {
  readonly address: string;
  readonly stop: () => void;
}

/** Serves what `add` adds on a free loopback port. */
export async function serve(add: (server: Server) => void): Promise<RunningServer> {
  const server = new Server(channelOptions);
  add(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    stop: () => {
      server.forceShutdown();
    },
  };
}

/**
 * A handler of unary calls. What it throws is sent as a status: a shut-down as unavailable, on which the SDK ends the
 * program quietly, everything else as unknown with its message.
 */
export function handler<Request, Response>(
  answer: (request: Request) => Promise<Response> | Response,
): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  return (call, callback) => {
    Promise.resolve()
      .then(() => answer(call.request))
      .then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          callback(statusOf(error));
        },
      );
  };
}

function statusOf(error: unknown): Partial<StatusObject> {
  if (error instanceof ShutDownError) return { code: codes.UNAVAILABLE, details: error.message };
  return { code: codes.UNKNOWN, details: error instanceof Error ? error.message : String(error) };
}
