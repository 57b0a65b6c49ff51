import assert from "node:assert/strict";
import type { MethodDefinition } from "@grpc/grpc-js";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import resourceGrpc from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import pb from "@pulumi/pulumi/proto/provider_pb.js";
import resourcepb from "@pulumi/pulumi/proto/resource_pb.js";
import fc from "fast-check";
import type protobuf from "google-protobuf";
import structpb from "google-protobuf/google/protobuf/struct_pb.js";
import { EncodedStruct } from "../../../../engine/src/grpc/encoded-struct.ts";
import { withEncodedStructs } from "../../../../engine/src/grpc/service.ts";
import { decodeStruct, encodeStruct, StructCodingError } from "../../../../engine/src/grpc/struct-codec.ts";
import type { JsonMap } from "../../../../engine/src/grpc/struct-codec.ts";

/** Maps of any depth. The library loses the key `__proto__` and doesn't keep lone surrogates. */
const maps = fc
  .dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ stringUnit: "grapheme" }), { noNullPrototype: true })
  .filter((map) => !JSON.stringify(map).includes("__proto__")) as fc.Arbitrary<JsonMap>;

function byLibrary(map: JsonMap): structpb.Struct {
  return structpb.Struct.fromJavaScript(map);
}

describe("the codec of protobuf Structs", () => {
  it("writes what the protobuf library reads as the same map", () => {
    fc.assert(
      fc.property(maps, (map) => {
        const read = structpb.Struct.deserializeBinary(encodeStruct(map)).toJavaScript();
        assert.deepEqual(read, byLibrary(map).toJavaScript());
      }),
    );
  });

  it("reads what the protobuf library writes", () => {
    fc.assert(
      fc.property(maps, (map) => {
        assert.deepEqual(decodeStruct(byLibrary(map).serializeBinary()), byLibrary(map).toJavaScript());
      }),
    );
  });

  it("keeps every key and every text, the longest too", () => {
    const map = JSON.parse(
      JSON.stringify({ long: "é".repeat(70_000), list: Array.from({ length: 300 }, (_, index) => index / 3) }).replace(
        "{",
        '{"__proto__":{"a":null},',
      ),
    ) as JsonMap;
    assert.deepEqual(decodeStruct(encodeStruct(map)), map);
    assert.ok(Object.hasOwn(decodeStruct(encodeStruct(map)), "__proto__"));
  });

  it("says that bytes are damaged, wherever they are cut off", () => {
    const bytes = encodeStruct({ a: { b: ["text", 1.5, true, null] } });
    for (let length = 1; length < bytes.length; length += 1) {
      assert.throws(() => decodeStruct(bytes.subarray(0, length)), StructCodingError);
    }
  });
});

describe("services with encoded Structs", () => {
  const struct = () => byLibrary({ a: ["text", { b: 1 }], c: null });
  const provider = withEncodedStructs(providerGrpc.ResourceProviderService);
  const monitor = withEncodedStructs(resourceGrpc.ResourceMonitorService);

  /** Each message with all its Structs and something else, and the method's way to read it. */
  const messages: readonly (readonly [string, (bytes: Buffer) => protobuf.Message, protobuf.Message, number])[] = [
    ...request("Check", provider.check, new pb.CheckRequest().setUrn("u").setOlds(struct()).setNews(struct()), 2),
    ...answer(
      "Check",
      provider.check,
      new pb.CheckResponse().setInputs(struct()).setFailuresList([new pb.CheckFailure()]),
      1,
    ),
    ...request(
      "Diff",
      provider.diff,
      new pb.DiffRequest().setOlds(struct()).setNews(struct()).setOldInputs(struct()).setIgnorechangesList(["i"]),
      3,
    ),
    ...request("Create", provider.create, new pb.CreateRequest().setProperties(struct()).setTimeout(1.5), 1),
    ...answer("Create", provider.create, new pb.CreateResponse().setId("i").setProperties(struct()), 1),
    ...request("Read", provider.read, new pb.ReadRequest().setProperties(struct()).setInputs(struct()).setId("i"), 2),
    ...answer("Read", provider.read, new pb.ReadResponse().setProperties(struct()).setInputs(struct()).setId("i"), 2),
    ...request(
      "Update",
      provider.update,
      new pb.UpdateRequest().setOlds(struct()).setNews(struct()).setOldInputs(struct()).setPreview(true),
      3,
    ),
    ...answer("Update", provider.update, new pb.UpdateResponse().setProperties(struct()), 1),
    ...request("Delete", provider.delete, new pb.DeleteRequest().setProperties(struct()).setOldInputs(struct()), 2),
    ...request("Invoke", provider.invoke, new pb.InvokeRequest().setTok("t").setArgs(struct()), 1),
    ...answer("Invoke", provider.invoke, new pb.InvokeResponse().setReturn(struct()), 1),
    ...request("Construct", provider.construct, new pb.ConstructRequest().setInputs(struct()).setName("n"), 1),
    ...answer("Construct", provider.construct, new pb.ConstructResponse().setUrn("u").setState(struct()), 1),
    ...request(
      "RegisterResource",
      monitor.registerResource,
      new resourcepb.RegisterResourceRequest()
        .setObject(struct())
        .setReplacementTrigger(new structpb.Value().setStringValue("t"))
        .setProtect(true),
      1,
    ),
    ...answer(
      "RegisterResource",
      monitor.registerResource,
      new resourcepb.RegisterResourceResponse().setObject(struct()),
      1,
    ),
    ...request(
      "RegisterResourceOutputs",
      monitor.registerResourceOutputs,
      new resourcepb.RegisterResourceOutputsRequest().setUrn("u").setOutputs(struct()),
      1,
    ),
    ...request("ReadResource", monitor.readResource, new resourcepb.ReadResourceRequest().setProperties(struct()), 1),
    ...answer("ReadResource", monitor.readResource, new resourcepb.ReadResourceResponse().setProperties(struct()), 1),
    ...request("Invoke", monitor.invoke, new resourcepb.ResourceInvokeRequest().setTok("t").setArgs(struct()), 1),
    ...answer("Invoke", monitor.invoke, new resourcepb.ResourceInvokeResponse().setReturn(struct()), 1),
  ];

  for (const [title, read, message, structs] of messages) {
    it(`${title}: Structs come as bytes, all else as it was`, () => {
      const received = read(Buffer.from(message.serializeBinary()));
      const getters = Object.entries(Object.getPrototypeOf(received) as object).filter(([name]) =>
        /^get[A-Z]/.test(name),
      );
      const encoded = getters.filter(([, get]) => (get as () => unknown).call(received) instanceof EncodedStruct);
      assert.equal(encoded.length, structs, encoded.map(([name]) => name).join());
      // Written again and read by the library alone, it is the message that it was.
      const type = message.constructor as unknown as { deserializeBinary(bytes: Uint8Array): protobuf.Message };
      assert.deepEqual(type.deserializeBinary(received.serializeBinary()).toObject(), message.toObject());
    });
  }

  it("an encoded Struct in a message is read by the library as its map", () => {
    fc.assert(
      fc.property(maps, (map) => {
        const bytes = new pb.CreateRequest()
          .setName("n")
          .setProperties(EncodedStruct.of(map))
          .setTimeout(2)
          .serializeBinary();
        const received = pb.CreateRequest.deserializeBinary(bytes);
        assert.deepEqual(received.getProperties()?.toJavaScript(), byLibrary(map).toJavaScript());
        assert.deepEqual([received.getName(), received.getTimeout()], ["n", 2]);
      }),
    );
  });
});

type Reading = MethodDefinition<never, never>;

function request(name: string, method: unknown, message: protobuf.Message, structs: number) {
  return [[`${name}'s request`, (method as Reading).requestDeserialize, message, structs]] as const;
}

function answer(name: string, method: unknown, message: protobuf.Message, structs: number) {
  return [[`${name}'s answer`, (method as Reading).responseDeserialize, message, structs]] as const;
}
