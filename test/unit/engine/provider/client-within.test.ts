import assert from "node:assert/strict";
import { Metadata, status as codes, type sendUnaryData } from "@grpc/grpc-js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import type { CheckRequest, CheckResponse } from "@pulumi/pulumi/proto/provider_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { clientWithin } from "../../../../engine/src/provider/client-within.ts";
import { hasStatus, unary } from "../../../../engine/src/provider/rpc.ts";

type Check = (call: { readonly request: CheckRequest }, done: sendUnaryData<CheckResponse>) => void;

const checkWith = (check: Check): Promise<CheckResponse> => {
  const client = clientWithin({ check });
  const request = new providerProto.CheckRequest().setUrn("urn").setNews(struct.Struct.fromJavaScript({ size: 1 }));
  return unary<CheckResponse>((done) => client.check(request, done));
};

describe("a client of a provider within the process", () => {
  it("carries messages as bytes, so that neither side sees what the other does to its own", async () => {
    const response = new providerProto.CheckResponse();
    const answer = await checkWith(({ request }, done) => {
      assert.equal(request.getUrn(), "urn");
      response.setInputs(request.getNews());
      done(null, response);
      response.setInputs(struct.Struct.fromJavaScript({ size: 2 }));
    });
    assert.deepEqual(answer.getInputs()?.toJavaScript(), { size: 1 });
  });

  it("fails as a call over a connection does, with code, details and metadata", async () => {
    const metadata = new Metadata();
    metadata.set("reason-bin", Buffer.from([1]));
    const failing = checkWith((_call, done) => {
      done({ code: codes.NOT_FOUND, details: "it is gone", metadata });
    });
    await assert.rejects(failing, { message: "5 NOT_FOUND: it is gone", details: "it is gone", metadata });
    await assert.rejects(
      checkWith((_call, done) => {
        done({});
      }),
      { code: codes.UNKNOWN },
    );
  });

  it("refuses methods that the provider hasn't", async () => {
    const client = clientWithin({});
    const error: unknown = await unary((done) => client.check(new providerProto.CheckRequest(), done)).catch(
      (failure: unknown) => failure,
    );
    assert.ok(hasStatus(error, codes.UNIMPLEMENTED));
  });
});
