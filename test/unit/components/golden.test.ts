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

describe("every object in the cluster", () => {
  for (const stack of stackNames) {
    it(`of ${stack} has a name of its own, settings excepted, so that a stack without its state finds it again`, () => {
      const resources = JSON.parse(goldenPlan(stack)) as {
        readonly urn: string;
        readonly inputs: { readonly metadata?: { readonly name?: string } };
      }[];
      const unnamed = resources
        .map(({ urn, inputs }) => ({ type: /\$?(kubernetes:[^$]+)::[^:]+$/.exec(urn)?.[1] ?? "", urn, inputs }))
        .filter(({ type, inputs }) => type.startsWith("kubernetes:") && inputs.metadata?.name === undefined)
        .filter(({ type }) => !["kubernetes:core/v1:ConfigMap", "kubernetes:helm.sh/v4:Chart"].includes(type));
      assert.deepEqual(
        unnamed.map(({ urn }) => urn),
        [],
      );
    });
  }
});

/** By resource, so that a difference shows what changed and not everything behind it. */
function byUrn(plan: string): Record<string, unknown> {
  const resources = JSON.parse(plan) as { urn: string }[];
  return Object.fromEntries(resources.map((resource) => [resource.urn, resource]));
}
