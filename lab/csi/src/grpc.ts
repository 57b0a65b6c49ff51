import {
  type GrpcObject,
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { asCallError } from "./errors.ts";

/**
 * @param folder where the `.proto` files lie
 * @param file name of one of them
 * @param service full name, such as `csi.v1.Node`
 * @returns the constructor of its client, which carries its definition
 */
export function loadService(folder: string, file: string, service: string): ServiceClientConstructor {
  const definition = loadSync(join(folder, file), { defaults: true, enums: String, longs: Number, oneofs: false });
  let found: GrpcObject | GrpcObject[string] = loadPackageDefinition(definition);
  for (const name of service.split(".")) found = (found as GrpcObject)[name] ?? {};
  if (typeof found !== "function") throw new Error(`${file} has no service ${service}`);
  return found;
}

/** Makes a gRPC handler of a function: what it returns is the answer, what it throws the status. */
export function unary<Request, Response>(
  work: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, answer) => {
    const run = async (): Promise<Response> => work(call.request);
    run().then(
      (response) => {
        answer(null, response);
      },
      (failure: unknown) => {
        const { code, message } = asCallError(failure, "FailedToMount", "internal error");
        answer({ code, details: message });
      },
    );
  };
}

/** Starts a server on a UNIX socket, in the place of one that a predecessor left. Returns it once it listens. */
export async function serve(socket: string, add: (server: Server) => void): Promise<Server> {
  rmSync(socket, { force: true });
  const server = new Server({ "grpc.max_receive_message_length": 4 * 1024 ** 2 });
  add(server);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (failure) => {
      if (failure === null) resolve();
      else reject(failure);
    });
  });
  return server;
}

/** Lets a server finish what it is doing, for `patience` milliseconds at most. */
export async function stop(server: Server, patience: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, patience);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
