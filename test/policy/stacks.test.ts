import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { judged, policySettings, stackOfState } from "../../policy/src/command/live.ts";
import { secretsProviderIn } from "../../policy/src/command/surroundings.ts";
import { evaluate } from "../../policy/src/model/evaluate.ts";
import { nameOf } from "../../policy/src/model/resource.ts";
import { SecretValue } from "../../policy/src/model/value.ts";
import { stackNames } from "../graph/stack-files.ts";
import { circumstances, exemptions, goldenStack, reference, rules, today } from "./support/reference.ts";

const folder = join(import.meta.dirname, "../../policy");

describe("the stacks of the project", () => {
  for (const name of stackNames) {
    it(`${name} breaks no ${name === "production" ? "" : "mandatory "}rule at the levels of its policy settings`, () => {
      const rows = judged(goldenStack(name), { exemptions, today }, policySettings(folder, name));
      const broken = rows.filter(
        ({ level }) => level === "mandatory" || (name === "production" && level === "advisory"),
      );
      assert.deepEqual(
        broken.map(({ rule, urn, path, message }) => `${rule}: ${nameOf(urn)} ${path} ${message}`),
        [],
      );
    });

    it(`${name} has policy settings that name rules, levels and settings that there are`, () => {
      const { levels, config } = policySettings(folder, name);
      for (const [rule, level] of Object.entries(levels)) {
        assert.ok(
          rules.some((one) => one.name === rule),
          rule,
        );
        assert.ok(["advisory", "mandatory", "remediate", "disabled"].includes(level), level);
      }
      for (const [rule, values] of Object.entries(config)) {
        const known = Object.keys(rules.find((one) => one.name === rule)?.settings ?? {});
        for (const key of Object.keys(values)) assert.ok(known.includes(key), `${rule}.${key}`);
      }
    });
  }

  it("weaken nothing in production", () => {
    const { levels } = policySettings(folder, "production");
    for (const [rule, level] of Object.entries(levels)) assert.equal(level, "mandatory", rule);
  });

  it("say in their file what encrypts their state, or nothing before the first update", () => {
    assert.equal(
      secretsProviderIn("secretsprovider: awskms://alias/a?region=b\nconfig: {}\n"),
      "awskms://alias/a?region=b",
    );
    assert.equal(secretsProviderIn("encryptionsalt: v1:abc\nconfig: {}\n"), "passphrase");
    assert.equal(secretsProviderIn("config: {}\n# secretsprovider: awskms://a\n"), undefined);
    for (const name of ["staging", "production"]) {
      const text = readFileSync(join(folder, "..", "stacks", `Pulumi.${name}.yaml`), "utf8");
      assert.notEqual(secretsProviderIn(text), "passphrase", name);
    }
  });
});

describe("the state of a stack", () => {
  const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:a:b" };
  const exported = JSON.stringify({
    version: 3,
    deployment: {
      secrets_providers: { type: "passphrase", state: { salt: "v1:c" } },
      resources: [
        { urn: "urn:pulumi:lab::t::pulumi:pulumi:Stack::t-lab", type: "pulumi:pulumi:Stack", outputs: { a: secret } },
        {
          urn: "urn:pulumi:lab::t::kubernetes:core/v1:ServiceAccount::acme",
          type: "kubernetes:core/v1:ServiceAccount",
          inputs: { metadata: { name: "acme" } },
          outputs: { automountServiceAccountToken: true, metadata: { name: "acme", uid: "1" } },
        },
        { urn: "urn:pulumi:lab::t::kubernetes:core/v1:Pod::old", type: "kubernetes:core/v1:Pod", delete: true },
      ],
    },
  });

  it("is judged as a plan is, with what providers added and without what waits for its deletion", () => {
    const stack = stackOfState("lab", exported);
    assert.equal(stack.secretsProvider, "passphrase");
    assert.deepEqual(
      stack.resources.map(({ name }) => name),
      ["t-lab", "acme"],
    );
    assert.ok(stack.resources[0]?.props["a"] instanceof SecretValue);
    const rows = judged(stack, { exemptions: [], today }, policySettings(folder, "lab"));
    assert.deepEqual(
      rows.map(({ rule, path, level }) => [rule, path, level]),
      [["accounts-mount-no-token", "automountServiceAccountToken", "mandatory"]],
    );
  });
});

describe("the rules over many resources", () => {
  it("look at 500 resources without looking at any of them twice as often as at 250", () => {
    // Time isn't asserted; reads are counted, so that a rule that grows with the square is found.
    let reads = 0;
    const counting = (value: unknown): unknown =>
      typeof value === "object" && value !== null && !(value instanceof SecretValue)
        ? new Proxy(value, {
            get: (target, key, receiver) => {
              reads += 1;
              return counting(Reflect.get(target, key, receiver));
            },
          })
        : value;
    const readsOf = (times: number): number => {
      reads = 0;
      const resources = Array.from({ length: times }).flatMap((_, index) =>
        reference.resources.map((one) => ({
          ...one,
          urn: index === 0 ? one.urn : `${one.urn}-${index}`,
          props: counting(one.props) as Record<string, unknown>,
        })),
      );
      evaluate(rules, { ...reference, resources }, circumstances);
      return reads;
    };
    const [single, double] = [readsOf(1), readsOf(2)];
    assert.ok(double < single * 3, `${single} and ${double}`);
  });
});
