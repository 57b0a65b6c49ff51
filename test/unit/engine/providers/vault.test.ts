import assert from "node:assert/strict";
import { bodyOf, fields, sameField, seconds } from "../../../../engine/src/providers/vault/fields.ts";
import type { Fields } from "../../../../engine/src/providers/vault/fields.ts";
import { openVault, protectConfig, unknownOption } from "../../../../engine/src/providers/vault/settings.ts";
import { createVaultProvider } from "../../../../engine/src/providers/vault/index.ts";
import { Secret } from "../../../../engine/src/providers/protocol/value.ts";
import type { Json } from "../../../../engine/src/providers/protocol/value.ts";

describe("a field of Vault", () => {
  for (const [kind, input, live, same] of [
    ["duration", "1h30m", 5400, true],
    ["duration", "24h", 86_401, false],
    ["set", ["b", "a"], ["a", "b"], true],
    ["set", ["a"], ["a", "b"], false],
    ["list", ["b", "a"], ["a", "b"], false],
    ["number", 5, "5", true],
    ["flag", false, null, true],
    ["map", { version: "2" }, { version: "2" }, true],
    ["map", { version: "2" }, null, false],
    ["json", '{"a": [1, 2]}', '{"a":[1,2]}', true],
    ["json", '{"a": 1}', '{"a":2}', false],
    ["text", "a", "b", false],
  ] as [Fields[string]["kind"], Json, Json, boolean][]) {
    it(`of kind ${kind} is ${same ? "the same" : "another"}: ${JSON.stringify(input)} and ${JSON.stringify(live)}`, () => {
      assert.equal(sameField({ kind }, input, live), same);
    });
  }

  it("is sent under Vault's name, reset when dropped, and left out when write-only", () => {
    const all: Fields = {
      ...fields("number", "tokenTtl tokenMaxTtl"),
      organizations: { kind: "set", wire: "organization" },
      backend: { kind: "text", wire: "" },
      dataJsonWo: { kind: "json", writeOnlyWith: "dataJsonWoVersion" },
    };
    const inputs = { tokenTtl: 5, organizations: ["T"], backend: "b", dataJsonWo: "{}" };
    assert.deepEqual(bodyOf(all, inputs, ["tokenMaxTtl"]), { token_ttl: 5, token_max_ttl: 0, organization: ["T"] });
  });

  it("of time is counted in seconds", () => {
    assert.deepEqual(["90", "1d", "1h1m1s", 7, "1.5h"].map(seconds), [90, 86_400, 3_661, 7, 5_400]);
  });
});

describe("the configuration of the vault provider", () => {
  it("marks what opens Vault secret", () => {
    const config = protectConfig({ address: "https://v", token: "t", authLogin: "{}" });
    assert.ok(config["token"] instanceof Secret && config["authLogin"] instanceof Secret);
    assert.equal(config["address"], "https://v");
  });

  it("names the option that it doesn't have, unless it is empty", () => {
    assert.equal(unknownOption({ authLoginAws: "{}" }), "authLoginAws");
    assert.equal(unknownOption({ authLoginAws: "null", address: "x" }), undefined);
  });

  it("says what is missing", async () => {
    await assert.rejects(openVault({}, {}), /no address/);
    await assert.rejects(openVault({ address: "ftp://x", token: "t" }, {}), /expected https/);
  });

  it("refuses types that aren't in the table by name", async () => {
    const type = "vault:aws/secretBackend:SecretBackend";
    const request = {
      urn: `urn:pulumi:s::p::${type}::n`,
      type,
      name: "n",
      olds: {},
      news: {},
      randomSeed: Buffer.of(),
    };
    await assert.rejects(createVaultProvider().check(request), {
      message: `resource type ${type} needs the Pulumi CLI`,
    });
  });
});
