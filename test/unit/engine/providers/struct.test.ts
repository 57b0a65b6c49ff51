import assert from "node:assert/strict";
import fc from "fast-check";
import structpb from "google-protobuf/google/protobuf/struct_pb.js";
import {
  decodeProperties,
  encodeProperties,
  signatureKey,
  signatures,
} from "../../../../engine/src/providers/protocol/struct.ts";
import {
  Asset,
  Secret,
  UNKNOWN,
  annotateSecrets,
  containsSecret,
  containsUnknown,
  sameValue,
  toJson,
  withoutSecrets,
} from "../../../../engine/src/providers/protocol/value.ts";
import type { PropertyMap, PropertyValue } from "../../../../engine/src/providers/protocol/value.ts";

const key = fc.string().filter((text) => text !== "__proto__");
const leaf = fc.oneof(fc.constant(null), fc.boolean(), fc.double({ noNaN: true }), fc.string());
const { value: anyValue } = fc.letrec<{ value: PropertyValue; map: PropertyMap }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.constant(UNKNOWN),
    fc.array(tie("value"), { maxLength: 4 }),
    tie("map"),
    tie("value").map((inner) => new Secret(inner)),
  ),
  map: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
}));
const anyMap = fc.dictionary(key, anyValue, { maxKeys: 5, noNullPrototype: true });

/** Values with secrets and unknowns spelled out, so that deep equality sees them. */
function spelled(value: PropertyValue): unknown {
  if (value instanceof Secret) {
    return { secret: spelled(value.reveal()) };
  }
  if (value === UNKNOWN) {
    return "unknown!";
  }
  if (Array.isArray(value)) {
    return value.map((inner: PropertyValue) => spelled(inner));
  }
  return typeof value === "object" && value !== null && !(value instanceof Asset)
    ? Object.fromEntries(Object.entries(value as PropertyMap).map(([key, inner]) => [key, spelled(inner)]))
    : value;
}

describe("properties on the wire", () => {
  it("come back as they were sent, with secrets and unknowns", () => {
    fc.assert(
      fc.property(anyMap, (properties) => {
        assert.deepEqual(spelled(decodeProperties(encodeProperties(properties))), spelled(properties));
      }),
    );
  });

  it("may be called __proto__", () => {
    const odd = JSON.parse('{"a": {"__proto__": 1}}') as PropertyMap;
    assert.equal(JSON.stringify(decodeProperties(encodeProperties(odd))), '{"a":{"__proto__":1}}');
  });

  it("carry a secret as an object with the secret's signature", () => {
    assert.deepEqual(encodeProperties({ password: new Secret("p") }).toJavaScript(), {
      password: { [signatureKey]: signatures.secret, value: "p" },
    });
  });

  it("say unknown for the unknowns of all types", () => {
    const types = ["04da6b54-80e4-46f7-96ec-b56ff0331ba9", "3eeb2bf0-c639-47a8-9e75-3b44932eb421"];
    for (const text of types) {
      assert.equal(decodeProperties(structpb.Struct.fromJavaScript({ size: text }))["size"], UNKNOWN);
    }
  });

  it("read an output value as its value, a secret or an unknown", () => {
    const output = { [signatureKey]: signatures.output, dependencies: ["urn:pulumi:s::p::t::n"] };
    const struct = structpb.Struct.fromJavaScript({
      plain: { ...output, value: 1 },
      hidden: { ...output, value: 2, secret: true },
      later: { ...output },
    });
    const { plain, hidden, later } = decodeProperties(struct);
    assert.equal(plain, 1);
    assert.equal(hidden instanceof Secret && hidden.reveal(), 2);
    assert.equal(later, UNKNOWN);
  });

  it("read a resource reference as the resource's id", () => {
    const reference = { [signatureKey]: signatures.resource, urn: "urn:pulumi:s::p::t::n", id: "i-1" };
    assert.equal(decodeProperties(structpb.Struct.fromJavaScript({ reference }))["reference"], "i-1");
  });

  it("refuse a signature that nobody knows", () => {
    const struct = structpb.Struct.fromJavaScript({ odd: { [signatureKey]: "0000" } });
    assert.throws(() => decodeProperties(struct), /unknown signature 0000/);
  });
});

describe("property values", () => {
  it("never print a secret", () => {
    const secret = new Secret("canary");
    assert.ok(!`${JSON.stringify({ secret })} ${secret.toString()}`.includes("canary"));
  });

  it("take secretness over path by path", () => {
    const annotated = annotateSecrets(
      { spec: { password: "p", user: "u" }, list: ["a", "b"], other: 1 },
      { spec: { password: new Secret("x"), user: "u" }, list: [new Secret("a")], gone: new Secret(1) },
    );
    assert.deepEqual(spelled(annotated), {
      spec: { password: { secret: "p" }, user: "u" },
      list: { secret: ["a", "b"] },
      other: 1,
    });
  });

  it("hold no secret once secrets are taken out", () => {
    fc.assert(
      fc.property(anyMap, (properties) => {
        assert.equal(containsSecret(withoutSecrets(properties)), false);
      }),
    );
  });

  it("are equal to their copies unless they hold an unknown", () => {
    fc.assert(
      fc.property(anyMap, (properties) => {
        const copy = decodeProperties(encodeProperties(properties));
        assert.equal(sameValue(properties, copy), !containsUnknown(properties));
      }),
    );
  });

  it("refuse to become JSON while unknown, and name where", () => {
    assert.throws(() => toJson({ spec: { replicas: [UNKNOWN] } }), /spec\.replicas\[0\]/);
  });
});
