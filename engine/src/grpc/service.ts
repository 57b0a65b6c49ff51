import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import protobuf from "google-protobuf";
import { EncodedStruct } from "./encoded-struct.ts";
import { ForwardReader } from "./struct-codec.ts";

type Side = "request" | "response";

/** The fields of type `google.protobuf.Struct` in the messages that may be large, by method. */
const structFields: Readonly<Record<string, Partial<Record<Side, readonly number[]>>>> = {
  // pulumi/provider.proto
  "/pulumirpc.ResourceProvider/Check": { request: [2, 3], response: [1] },
  "/pulumirpc.ResourceProvider/Diff": { request: [3, 4, 6] },
  "/pulumirpc.ResourceProvider/Create": { request: [2], response: [2] },
  "/pulumirpc.ResourceProvider/Read": { request: [3, 4], response: [2, 3] },
  "/pulumirpc.ResourceProvider/Update": { request: [3, 4, 8], response: [1] },
  "/pulumirpc.ResourceProvider/Delete": { request: [3, 5] },
  "/pulumirpc.ResourceProvider/Invoke": { request: [2], response: [1] },
  "/pulumirpc.ResourceProvider/Construct": { request: [10], response: [2] },
  // pulumi/resource.proto
  "/pulumirpc.ResourceMonitor/RegisterResource": { request: [5], response: [3] },
  "/pulumirpc.ResourceMonitor/RegisterResourceOutputs": { request: [2] },
  "/pulumirpc.ResourceMonitor/ReadResource": { request: [5], response: [2] },
  "/pulumirpc.ResourceMonitor/Invoke": { request: [2], response: [1] },
};

/**
 * A service whose messages come with {@link EncodedStruct}s: Structs are taken out of a message's bytes before the
 * protobuf library reads it, and stay bytes until somebody asks what is in them.
 */
export function withEncodedStructs<Service extends ServiceDefinition>(service: Service): Service {
  const methods = Object.entries(service).map(([name, method]) => {
    const fields = structFields[method.path];
    return [name, fields === undefined ? method : withEncodedFields(method, fields)] as const;
  });
  return Object.fromEntries(methods) as unknown as Service;
}

function withEncodedFields(
  method: MethodDefinition<unknown, unknown>,
  fields: Partial<Record<Side, readonly number[]>>,
): MethodDefinition<unknown, unknown> {
  return {
    ...method,
    requestDeserialize: readingStructs(method.requestDeserialize, fields.request ?? []),
    responseDeserialize: readingStructs(method.responseDeserialize, fields.response ?? []),
  };
}

function readingStructs(read: (bytes: Buffer) => unknown, fields: readonly number[]): (bytes: Buffer) => unknown {
  if (fields.length === 0) return read;
  return (bytes) => {
    const { rest, structs } = takeOut(bytes, fields);
    const message = read(rest);
    if (message instanceof protobuf.Message) {
      for (const [field, content] of structs)
        protobuf.Message.setWrapperField(message, field, new EncodedStruct(content));
    }
    return message;
  };
}

/** Splits a message into the named fields, which have lengths, and all others as they were. */
function takeOut(
  bytes: Buffer,
  fields: readonly number[],
): { readonly rest: Buffer; readonly structs: ReadonlyMap<number, Uint8Array> } {
  const reader = new ForwardReader(bytes);
  const structs = new Map<number, Uint8Array>();
  const others: Uint8Array[] = [];
  while (reader.position < reader.size) {
    const start = reader.position;
    const tag = reader.varint();
    const field = Math.floor(tag / 8);
    if ((tag & 7) === 2 && fields.includes(field)) {
      const content = reader.bytes(reader.end());
      // Parts of one Struct may come apart; a map's later entries win, as they do in one piece.
      const before = structs.get(field);
      structs.set(field, before === undefined ? content : Buffer.concat([before, content]));
    } else {
      reader.skip(tag);
      others.push(bytes.subarray(start, reader.position));
    }
  }
  return { rest: Buffer.concat(others), structs };
}
