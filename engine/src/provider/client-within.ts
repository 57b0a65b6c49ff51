import {
  Metadata,
  status as codes,
  type MethodDefinition,
  type sendUnaryData,
  type StatusObject,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import providerGrpc, { type IResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { withEncodedStructs } from "../grpc/service.ts";

type Method = MethodDefinition<unknown, unknown>;
/** What a handler of unary calls uses of a call: providers here ask for the request only. */
type UnaryHandler = (
  call: { readonly request: unknown; readonly metadata: Metadata },
  done: sendUnaryData<unknown>,
) => void;
type Done = (error: Error | null, response?: unknown) => void;

/**
 * A client that calls a provider's handlers within this process. Each message still goes through its bytes, so that
 * both sides see what they would see over a connection; HTTP/2, which takes most of the time of a call, is left out.
 */
export function clientWithin(handlers: UntypedServiceImplementation): IResourceProviderClient {
  const methods = Object.entries(withEncodedStructs(providerGrpc.ResourceProviderService)).map(([name, method]) => {
    const handler = (handlers as Readonly<Record<string, unknown>>)[name] as UnaryHandler | undefined;
    return [name, method.responseStream ? refused(name) : caller(method as Method, handler ?? refused(name))] as const;
  });
  return Object.fromEntries(methods) as unknown as IResourceProviderClient;
}

function caller(method: Method, handler: UnaryHandler): (request: unknown, done: Done) => void {
  return (request, done) => {
    const call = { request: method.requestDeserialize(method.requestSerialize(request)), metadata: new Metadata() };
    handler(call, (error, response) => {
      if (error === null) done(null, method.responseDeserialize(method.responseSerialize(response)));
      else done(callError(error));
    });
  };
}

function refused(name: string): UnaryHandler {
  return (_call, done) => {
    done({ code: codes.UNIMPLEMENTED, details: `the provider has no method ${name}` });
  };
}

/** What a gRPC client makes of a handler's failure. */
function callError(failure: Partial<StatusObject & Error>): Error {
  const { code = codes.UNKNOWN, details = failure.message ?? "", metadata = new Metadata() } = failure;
  return Object.assign(new Error(`${code} ${codes[code]}: ${details}`), { code, details, metadata });
}
