import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { status } from "@grpc/grpc-js";
import { serve } from "../../../engine/src/providers/protocol/server.ts";
import type { Serving } from "../../../engine/src/providers/protocol/server.ts";
import { Secret, UNKNOWN } from "../../../engine/src/providers/protocol/value.ts";
import { createRandomProvider } from "../../../engine/src/providers/random/index.ts";
import { ProviderClient } from "./provider-client.ts";

const urn = "urn:pulumi:lab::shield::random:index/randomPassword:RandomPassword::database";

describe("the random provider over gRPC", () => {
  let serving: Serving;
  let client: ProviderClient;

  before(async () => {
    serving = await serve(createRandomProvider);
    client = new ProviderClient(serving.port);
  });
  after(async () => {
    client.close();
    await serving.stop();
  });

  it("says that it takes secrets and previews", async () => {
    const response = await client.configure({ version: "4.21.2" });
    assert.ok(response.getAcceptsecrets() && response.getSupportspreview());
  });

  it("creates a password whose result is a secret on the wire, and sees no change in it", async () => {
    const resource = await client.create(urn, { length: 20, keepers: { generation: "3" } });
    const { id, inputs, properties } = resource;
    assert.equal(id, "none");
    assert.ok(properties["result"] instanceof Secret);
    const diff = await client.diff(resource, inputs);
    assert.equal(diff.getChanges(), 1);
    const changed = await client.diff(resource, { ...inputs, keepers: { generation: "4" } });
    assert.deepEqual(changed.getReplacesList(), ["keepers.generation"]);
  });

  it("answers unknowns at preview", async () => {
    const { properties } = await client.create(urn, { length: 20 }, "preview");
    assert.ok(properties["result"] instanceof Secret && properties["result"].reveal() === UNKNOWN);
  });

  it("names a failed check", async () => {
    const response = await client.check(urn, { length: 0 });
    assert.deepEqual(
      response.getFailuresList().map((failure) => failure.getProperty()),
      ["length"],
    );
  });

  it("refuses other types by name", async () => {
    const other = "urn:pulumi:lab::shield::random:index/randomId:RandomId::x";
    await assert.rejects(client.check(other, {}), {
      code: status.UNIMPLEMENTED,
      details: "resource type random:index/randomId:RandomId needs the Pulumi CLI",
    });
  });
});

describe("the random provider as a plugin executable", () => {
  it("prints its port, serves, and ends when it is told to", async () => {
    const main = new URL("../../../engine/src/providers/random/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main, "127.0.0.1:1"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const client = new ProviderClient(Number(line.toString()));
      const { id } = await client.create(urn, { length: 8 });
      assert.equal(id, "none");
      client.close();
    } finally {
      child.kill("SIGTERM");
    }
    const [code] = (await once(child, "exit")) as [number];
    assert.equal(code, 0);
  });
});
