import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { Json } from "../recorder/cloud.ts";
import type { RecorderCloud } from "../recorder/cloud.ts";
import { Item, Provider } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Components that a provider builds, their methods, and outputs of other stacks. */
export const remoteScenarios: readonly Scenario[] = [
  {
    name: "remote-component",
    about: "a provider builds a component, changes it and takes it away",
    steps: [
      step({ command: "preview", program: () => boxed("1") }),
      step({ command: "up", program: () => boxed("1") }),
      step({ command: "up", program: () => boxed("2") }),
      step({ command: "up", program: () => ({}) }),
    ],
  },
  {
    name: "remote-component-provider",
    about: "a component of an explicit provider, with a secret among its inputs",
    steps: [
      step({ command: "up", program: () => boxedBy(pulumi.secret("hidden")) }),
      step({ command: "up", program: () => boxedBy("plain") }),
    ],
  },
  {
    name: "remote-component-fails",
    about: "a component that its provider can't build stops the run, and what was made is in state",
    steps: [
      step({ command: "up", program: () => boxed("1", { failConstruct: true }), exit: 1 }),
      step({ command: "up", program: () => boxed("1") }),
    ],
  },
  {
    name: "method",
    about: "a method of a component is called with the component itself, with what is known and what is secret",
    steps: [
      step({ command: "preview", program: () => asked("1") }),
      step({ command: "up", program: () => asked("1") }),
      step({ command: "up", program: () => asked(pulumi.secret("hidden")) }),
    ],
  },
  {
    name: "other-stack-reference",
    about: "a stack reads the outputs of another project's stack, and follows their change",
    steps: [
      step({ command: "up", before: otherStack({ network: "a", list: [1, 2] }), program: () => referring("prod") }),
      step({ command: "up", before: otherStack({ network: "b", list: [1] }), program: () => referring("prod") }),
      step({ command: "refresh", before: otherStack({ network: "c" }), program: () => referring("prod") }),
      step({ command: "up", program: () => referring("nowhere"), exit: 1 }),
    ],
  },
];

/** A component that the recorder builds: an item of the component's value. */
class Box extends pulumi.ComponentResource {
  declare readonly answer: pulumi.Output<string>;

  constructor(name: string, args: pulumi.Inputs, opts?: pulumi.ComponentResourceOptions) {
    super("recorder:index:Box", name, { answer: undefined, ...args }, opts, true);
  }

  describe(question: pulumi.Input<string>): pulumi.Output<string> {
    const answered: pulumi.Output<{ readonly answer: string }> = pulumi.runtime.call(
      "recorder:index:Box/describe",
      { __self__: this, question },
      this,
    );
    return answered.answer;
  }
}

function boxed(value: string, more: pulumi.Inputs = {}): ProgramOutputs {
  const box = new Box("box", { value, ...more });
  const after = new Item("after", { value: box.answer });
  return { a: box.answer, b: after.id };
}

function boxedBy(value: pulumi.Input<string>): ProgramOutputs {
  const provider = new Provider("explicit", {});
  const box = new Box("box", { value }, { provider, protect: false });
  return { a: box.answer };
}

function asked(question: pulumi.Input<string>): ProgramOutputs {
  const box = new Box("box", { value: "1" });
  const item = new Item("item", { value: box.describe(question) });
  return { a: item.value };
}

function referring(stack: string): ProgramOutputs {
  const other = new pulumi.StackReference(`organization/network/${stack}`);
  new Item("item", { value: other.getOutput("network"), list: other.getOutput("list") });
  return { a: other.getOutput("network") };
}

/** Writes the checkpoint of another project's stack beside the one that is tested. */
function otherStack(outputs: Readonly<Record<string, Json>>): (cloud: RecorderCloud) => void {
  return (cloud) => {
    const file = join(cloud.folder, "../state/.pulumi/stacks/network/prod.json");
    const type = "pulumi:pulumi:Stack";
    const urn = `urn:pulumi:prod::network::${type}::network-prod`;
    const latest = {
      manifest: { time: "2026-01-01T00:00:00Z", magic: "", version: "" },
      resources: [{ urn, custom: false, type, outputs }],
      metadata: {},
    };
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify({ version: 3, checkpoint: { stack: "organization/network/prod", latest } }));
  };
}
