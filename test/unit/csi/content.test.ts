import assert from "node:assert/strict";
import type { SecretObject } from "../../../lab/csi/src/class-parameters.ts";
import { contentOf, versionOf } from "../../../lab/csi/src/content.ts";
import { vaultUrl } from "../../../lab/csi/src/vault.ts";

const object = (extra: Partial<SecretObject> = {}): SecretObject => ({
  objectName: "file",
  secretPath: "kv/data/app",
  secretKey: "key",
  method: "GET",
  encoding: "utf-8",
  ...extra,
});
const version2 = (value: unknown): Readonly<Record<string, unknown>> => ({
  request_id: "differs",
  data: { data: { key: value }, metadata: { version: 7 } },
});

describe("what a file holds", () => {
  it("is a field of KV version 2, of KV version 1, or JSON where it is no text", () => {
    assert.equal(contentOf(object(), version2("text ü")).toString(), "text ü");
    assert.equal(contentOf(object(), { data: { key: "one" } }).toString(), "one");
    assert.equal(contentOf(object(), version2({ a: 1 })).toString(), '{"a":1}');
    assert.equal(contentOf(object(), version2(5)).toString(), "5");
  });

  it("is decoded where the object says so", () => {
    const bytes = Buffer.from([0, 1, 254, 255]);
    assert.deepEqual(contentOf(object({ encoding: "base64" }), version2(bytes.toString("base64"))), bytes);
    assert.deepEqual(contentOf(object({ encoding: "hex" }), version2("0001FEff")), bytes);
  });

  it("is the whole answer without a key, less what every read changes", () => {
    const whole: SecretObject = { objectName: "file", secretPath: "kv/data/app", method: "GET", encoding: "utf-8" };
    const content = contentOf(whole, version2("x")).toString();
    assert.deepEqual(JSON.parse(content), { data: { data: { key: "x" }, metadata: { version: 7 } } });
  });

  it("is refused without the key or with a bad encoding, and no message quotes a value", () => {
    for (const [extra, value, expected] of [
      [{ secretKey: "other" }, "canary", /kv\/data\/app has no key other/],
      [{ secretKey: "constructor" }, "canary", /has no key constructor/],
      [{ encoding: "base64" }, "canary!", /its value is no base64/],
      [{ encoding: "hex" }, "canary", /its value is no hex/],
    ] as const) {
      assert.throws(
        () => contentOf(object(extra), version2(value)),
        (failure: Error) => expected.test(failure.message) && !failure.message.includes("canary"),
      );
    }
  });
});

describe("the version of an object", () => {
  const key = Buffer.alloc(32, 1);

  it("is the number of the KV version 2 entry", () => {
    assert.equal(versionOf(object(), version2("x"), Buffer.from("x"), key), "7");
  });

  it("is elsewhere a digest that shows a change, and not that two objects are the same", () => {
    const of = (name: string, content: string): string =>
      versionOf(object({ objectName: name }), { data: {} }, Buffer.from(content), key);
    assert.equal(of("a", "x"), of("a", "x"));
    assert.notEqual(of("a", "x"), of("a", "y"));
    assert.notEqual(of("a", "x"), of("b", "x"));
    assert.ok(!of("a", "x").includes("x-value"));
  });
});

describe("an address of Vault's API", () => {
  it("has the path encoded and the query kept", () => {
    assert.equal(
      vaultUrl("https://v:8200/", "kv/data/a b?version=2").href,
      "https://v:8200/v1/kv/data/a%20b?version=2",
    );
  });
  it("can't be bent to another host", () => {
    assert.equal(vaultUrl("https://v:8200", "/@evil/../x").host, "v:8200");
  });
});
