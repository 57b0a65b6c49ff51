import assert from "node:assert/strict";
import { goldenPlan } from "../../golden/plans.ts";
import { differenceText, planDifference } from "../../pr/difference.ts";

const plan = (...resources: object[]): string => JSON.stringify(resources);
const urn = (name: string): string => `urn:pulumi:lab::tokenshield::a:b:C$kubernetes:core/v1:Pod::${name}`;

describe("the difference of two plans", () => {
  it("is nothing for a plan and itself", () => {
    const same = planDifference("lab", goldenPlan("lab"), goldenPlan("lab"));
    assert.deepEqual([same.added, same.removed, [...same.changed]], [[], [], []]);
    assert.match(differenceText([same]), /Nothing changes in lab\./);
  });

  it("names what is added, removed and changed, by path", () => {
    const before = plan({ urn: urn("a"), inputs: { x: [1, 2], y: { z: 1 } } }, { urn: urn("b"), inputs: {} });
    const after = plan({ urn: urn("a"), inputs: { x: [1, 3], y: { z: 1, w: 2 } } }, { urn: urn("c"), inputs: {} });
    const found = planDifference("lab", before, after);
    assert.deepEqual(found.added, [urn("c")]);
    assert.deepEqual(found.removed, [urn("b")]);
    assert.deepEqual([...found.changed], [[urn("a"), ["inputs.x[1]", "inputs.y.w"]]]);
    const text = differenceText([found]);
    assert.match(text, /<b>lab<\/b>: 1 added, 1 changed, 1 removed/);
    assert.match(text, /- \*\*removed\*\* `kubernetes:core\/v1:Pod::b`/);
    assert.match(text, /- changed `kubernetes:core\/v1:Pod::a`: `inputs\.x\[1\]`, `inputs\.y\.w`/);
  });

  it("counts everything of a stack that is new", () => {
    assert.equal(planDifference("lab", undefined, plan({ urn: urn("a") })).added.length, 1);
  });

  it("stays short where much changes, and says how much is left out", () => {
    const many = plan(...Array.from({ length: 150 }, (_, index) => ({ urn: urn(`pod-${index}`) })));
    const text = differenceText([planDifference("lab", undefined, many)]);
    assert.match(text, /- and 50 more, see test\/golden\/lab\.json/);
    assert.ok(text.split("\n").length < 120);
  });
});
