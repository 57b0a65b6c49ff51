import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { readContract } from "../../../bin/examples/consumer/contract.js";
import { type StackOutputs, stackOutputs } from "../../../bin/stacks/outputs.js";
import { unlessRejected, valueOf } from "../../graph/mock-engine.ts";
import { rawSettings, stackNames } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

/** Reads the contract as the consumer does, of a stack that tells these outputs. */
async function consumed(outputs: object): Promise<StackOutputs> {
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name }) => {
        assert.equal(type, "pulumi:pulumi:StackReference");
        return { id: name, state: { outputs, secretOutputNames: [] } };
      },
      call: ({ token }) => {
        throw new Error(`no mock of ${token}`);
      },
    },
    "tokenshield-consumer",
    "test",
  );
  return unlessRejected(() => valueOf(readContract("platform", "organization/tokenshield/lab")));
}

describe("the consumer of a stack's outputs", () => {
  for (const stack of stackNames) {
    it(`reads every one of ${stack}`, async () => {
      const { outputs } = (await built(rawSettings(stack))).value;
      assert.deepEqual(await consumed(outputs), outputs);
    });
  }

  it("fails on any output that is missing, by its name", async () => {
    const { outputs } = (await built(rawSettings("lab"))).value;
    for (const key of Object.keys(stackOutputs.shape)) {
      const rest = Object.fromEntries(Object.entries(outputs).filter(([name]) => name !== key));
      await assert.rejects(consumed(rest), new RegExp(`'${key}'`));
    }
  });

  it("fails on another version of the contract, and on an output that changed its type", async () => {
    const { outputs } = (await built(rawSettings("lab"))).value;
    await assert.rejects(consumed({ ...outputs, contractVersion: 2 }), /contractVersion: /);
    await assert.rejects(consumed({ ...outputs, addons: "all" }), /addons: /);
  });
});
