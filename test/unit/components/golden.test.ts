import assert from "node:assert/strict";
import { currentPlan, goldenPlan } from "../../golden/plans.ts";
import { stackNames } from "../../graph/stack-files.ts";

describe("the golden plan", () => {
  for (const stack of stackNames) {
    it(`of ${stack} is what the program makes; after a change that is meant, run \`npm run golden\` and review it`, async () => {
      const [now, golden] = [await currentPlan(stack), goldenPlan(stack)];
      assert.deepEqual(byUrn(now), byUrn(golden));
      assert.equal(now, golden);
    });
  }
});

/** By resource, so that a difference shows what changed and not everything behind it. */
function byUrn(plan: string): Record<string, unknown> {
  const resources = JSON.parse(plan) as { urn: string }[];
  return Object.fromEntries(resources.map((resource) => [resource.urn, resource]));
}
