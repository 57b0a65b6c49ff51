import assert from "node:assert/strict";
import {
  checkOutputs,
  type Consumer,
  ContractError,
  contractVersion,
  defineConsumer,
  type OutputName,
  readOutputs,
  stackSchema,
  type TenantField,
  tenantOf,
  tenantSchema,
} from "@tokenshield/contract";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { checkout } from "../../../bin/examples/consumer/checkout.js";
import { contractVersion as promised, stackOutputs, tenantOutputs } from "../../../bin/stacks/outputs.js";
import { unlessRejected, valueOf } from "../../graph/mock-engine.ts";
import { rawSettings, stackNames, type StackName } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

/** Every consumer that the platform knows. A team adds its own, and the platform's tests name it where it would break. */
const consumers: readonly Consumer<OutputName, TenantField>[] = [checkout];

/** A consumer that reads everything. */
const everything = defineConsumer({
  name: "everything",
  outputs: Object.keys(stackSchema) as OutputName[],
  tenant: Object.keys(tenantSchema) as TenantField[],
});

/** The outputs of a stack, built once. */
const known = new Map<StackName, Promise<Record<string, unknown>>>();
function outputsOf(stack: StackName): Promise<Record<string, unknown>> {
  const outputs = known.get(stack) ?? built(rawSettings(stack)).then(({ value }) => ({ ...value.outputs }));
  known.set(stack, outputs);
  return outputs;
}

/** Without a key. */
const without = (object: object, key: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));

/** Each tenant changed in the same way. */
const tenantsWith = (
  outputs: Record<string, unknown>,
  change: (tenant: object) => object,
): Record<string, unknown> => ({
  ...outputs,
  tenants: Object.fromEntries(
    Object.entries(outputs["tenants"] as Record<string, object>).map(([name, tenant]) => [name, change(tenant)]),
  ),
});

describe("the contract's package", () => {
  it("reads the version that the platform promises", () => {
    assert.equal(contractVersion, promised);
  });

  for (const [what, own, platform] of [
    ["outputs", z.toJSONSchema(z.strictObject(stackSchema)), z.toJSONSchema(stackOutputs)],
    ["fields of a tenant", z.toJSONSchema(z.strictObject(tenantSchema)), z.toJSONSchema(tenantOutputs)],
  ] as const) {
    it(`knows each of the ${what} that the platform promises, with its type`, () => {
      const bare = (schema: object): unknown =>
        JSON.parse(JSON.stringify(schema, (key, value: unknown) => (hidden(key, value) ? undefined : value)));
      const wanted = without(without(platform.properties ?? {}, "contractVersion"), "tenants");
      assert.deepEqual(bare(own.properties ?? {}), bare(wanted));
    });
  }

  for (const stack of stackNames) {
    it(`reads every output of ${stack}`, async () => {
      const outputs = await outputsOf(stack);
      assert.deepEqual(checkOutputs(everything, stack, outputs), without(outputs, "contractVersion"));
    });
  }

  it("ignores outputs that it doesn't know, as further ones don't raise the version", async () => {
    const outputs = { ...(await outputsOf("lab")), further: { a: 1 } };
    assert.ok(!("further" in checkOutputs(everything, "lab", outputs)));
  });

  it("hands over what a consumer named, and nothing else", async () => {
    const narrow = defineConsumer({ name: "narrow", outputs: ["authMount"], tenant: ["issuer"] });
    const read = checkOutputs(narrow, "lab", await outputsOf("lab"));
    assert.deepEqual(Object.keys(read).sort(), ["authMount", "tenants"]);
    assert.deepEqual(Object.keys(tenantOf(narrow, read, "acme")), ["issuer"]);
    const noTenant = defineConsumer({ name: "no-tenant", outputs: ["environment"], tenant: [] });
    assert.deepEqual(checkOutputs(noTenant, "lab", { contractVersion: 1, environment: "lab" }).environment, "lab");
  });

  it("tells everything that is wrong at once, by path, and whom it breaks", () => {
    assert.throws(
      () =>
        checkOutputs(checkout, "lab", {
          contractVersion: 2,
          environment: 5,
          tenants: { acme: { provisioned: "all" } },
        }),
      (error) =>
        error instanceof ContractError &&
        error.consumer === "tokenshield-consumer" &&
        error.problems.length === 5 &&
        /^tokenshield-consumer can't read the outputs of lab: /.test(error.message) &&
        error.problems.some((problem) => problem.startsWith("tenants.acme.egressCaBundle: ")),
    );
  });

  it("tells which tenants there are where one is asked for that isn't", async () => {
    const read = checkOutputs(checkout, "lab", await outputsOf("lab"));
    assert.throws(
      () => tenantOf(checkout, read, "umbrella"),
      /tenants\.umbrella: expected a tenant \(acme\), given nothing/,
    );
    assert.throws(() => tenantOf(checkout, read, "constructor"), /expected a tenant/);
  });
});

/** What JSON Schema tells of prose and strictness, and not of types. */
function hidden(key: string, value: unknown): boolean {
  return key === "$schema" || key === "description" || (key === "additionalProperties" && value === false);
}

for (const consumer of consumers) {
  describe(`the consumer ${consumer.name}`, () => {
    for (const stack of stackNames) {
      it(`can read what it needs of ${stack}`, async () => {
        checkOutputs(consumer, stack, await outputsOf(stack));
      });
    }

    it("is named where an output that it needs is missing or changed its type", async () => {
      const outputs = await outputsOf("lab");
      const names = ["contractVersion", ...consumer.outputs, ...(consumer.tenant.length > 0 ? ["tenants"] : [])];
      for (const name of names) {
        const missing = new RegExp(`${consumer.name} can't read the outputs of lab: .*${name}: `);
        assert.throws(() => checkOutputs(consumer, "lab", without(outputs, name)), missing);
        assert.throws(() => checkOutputs(consumer, "lab", { ...outputs, [name]: false }), missing);
      }
    });

    it("is named where a field of a tenant that it needs is missing or changed its type", async () => {
      const outputs = await outputsOf("lab");
      for (const field of consumer.tenant) {
        const missing = new RegExp(`${consumer.name} can't .*tenants\\.acme\\.${field}: `);
        assert.throws(
          () =>
            checkOutputs(
              consumer,
              "lab",
              tenantsWith(outputs, (one) => without(one, field)),
            ),
          missing,
        );
        const changed = tenantsWith(outputs, (one) => ({ ...one, [field]: 1 }));
        assert.throws(() => checkOutputs(consumer, "lab", changed), missing);
      }
    });
  });
}

describe("a StackReference by the contract", () => {
  /** Reads as a program does, of a stack that tells these outputs. */
  async function consumed(outputs: object, secretOutputNames: readonly string[] = []): Promise<unknown> {
    await pulumi.runtime.setMocks(
      {
        newResource: ({ type, name }) => {
          assert.equal(type, "pulumi:pulumi:StackReference");
          return { id: name, state: { outputs, secretOutputNames } };
        },
        call: ({ token }) => {
          throw new Error(`no mock of ${token}`);
        },
      },
      "tokenshield-consumer",
      "test",
    );
    return unlessRejected(() => valueOf(readOutputs(checkout, "platform", "organization/tokenshield/lab")));
  }

  it("gives what the consumer named", async () => {
    const outputs = await outputsOf("lab");
    assert.deepEqual(await consumed(outputs), checkOutputs(checkout, "lab", outputs));
  });

  it("fails by the consumer's name on a missing output, another version and a secret", async () => {
    const outputs = await outputsOf("lab");
    await assert.rejects(consumed(without(outputs, "environment")), /tokenshield-consumer can't .*environment: /);
    await assert.rejects(
      consumed({ ...outputs, contractVersion: 2 }),
      /tokenshield-consumer can't .*contractVersion: /,
    );
    await assert.rejects(
      consumed(outputs, ["environment"]),
      /tokenshield-consumer can't .*environment: expected no secret/,
    );
  });
});
