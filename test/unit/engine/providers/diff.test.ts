import assert from "node:assert/strict";
import { diffProperties, formatPath, isBelow, parsePath } from "../../../../engine/src/providers/protocol/diff.ts";
import { parseUrn } from "../../../../engine/src/providers/protocol/urn.ts";
import { uniqueName } from "../../../../engine/src/providers/protocol/unique-name.ts";
import { Secret, UNKNOWN } from "../../../../engine/src/providers/protocol/value.ts";

describe("property paths", () => {
  for (const [text, steps] of [
    ["spec.ports[0].name", ["spec", "ports", 0, "name"]],
    ['metadata.annotations["a.b/c"]', ["metadata", "annotations", "a.b/c"]],
    ['["a\\"b"]', ['a"b']],
  ] as const) {
    it(`reads and writes ${text}`, () => {
      assert.deepEqual(parsePath(text), steps);
      assert.equal(formatPath(steps), text);
    });
  }

  it("let a star stand for any step", () => {
    assert.ok(isBelow(["spec", "containers", 3, "image"], parsePath("spec.containers[*].image")));
    assert.ok(!isBelow(["spec"], parsePath("spec.containers")));
  });

  it("refuse what is no path", () => {
    assert.throws(() => parsePath("a..b"), /position 1/);
  });
});

describe("the difference of two property maps", () => {
  it("lists leaves, tells which replace, and leaves ignored ones out", () => {
    const result = diffProperties(
      { a: 1, list: [1, 2], nested: { kept: 1, gone: 2 }, ignored: { x: 1 } },
      { a: 2, list: [1], nested: { kept: 1, added: 3 }, ignored: { x: 2 } },
      { replaces: (path) => path[0] === "a", ignoreChanges: ["ignored"] },
    );
    assert.deepEqual(
      [...result.detailed].map(([path, { change }]) => `${path} ${change}`),
      ["a update-replace", "list[1] delete", "nested.gone delete", "nested.added add"],
    );
  });

  it("sees no difference in secretness, and one in an unknown", () => {
    assert.equal(diffProperties({ a: 1 }, { a: new Secret(1) }, { replaces: () => false }).changes, "none");
    assert.equal(diffProperties({ a: 1 }, { a: new Secret(UNKNOWN) }, { replaces: () => false }).changes, "some");
  });
});

describe("a URN", () => {
  it("gives the type of the resource itself and its name", () => {
    assert.deepEqual(parseUrn("urn:pulumi:lab::shield::a:b:Parent$kubernetes:core/v1:Pod::x::y"), {
      type: "kubernetes:core/v1:Pod",
      name: "x::y",
    });
  });

  it("is refused when it is none", () => {
    assert.throws(() => parseUrn("urn:other:a::b::c::d"), /not a URN/);
  });
});

describe("a unique name", () => {
  it("is foreseen from its seed", () => {
    const seed = Buffer.from("seed");
    assert.equal(uniqueName("web-", seed), uniqueName("web-", seed));
    assert.notEqual(uniqueName("web-", seed), uniqueName("api-", seed).replace("api-", "web-"));
    assert.match(uniqueName("web-", seed), /^web-[0-9a-f]{8}$/);
  });

  it("is foreseen by nobody without a seed", () => {
    const names = new Set(Array.from({ length: 100 }, () => uniqueName("web-", new Uint8Array())));
    assert.equal(names.size, 100);
  });
});
