import * as pulumi from "@pulumi/pulumi";
import { Item, Provider } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Secrets, end to end. */
export const secretScenarios: readonly Scenario[] = [
  {
    name: "secrets",
    about: "secret inputs stay secret in state, in outputs and in what is made of them",
    steps: [
      step({ command: "preview", program: () => secrets("one") }),
      step({ command: "up", program: () => secrets("one") }),
      step({ command: "up", program: () => secrets("one"), flags: ["--expect-no-changes"] }),
      step({ command: "up", program: () => secrets("two") }),
      step({ command: "refresh" }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "additional-secret-outputs",
    about: "the program declares outputs secret that the provider returns in clear",
    steps: [
      step({ command: "up", program: () => additional([]) }),
      step({ command: "up", program: () => additional(["result", "absent"]) }),
    ],
  },
  {
    name: "secret-provider-config",
    about: "a provider is configured with a secret",
    steps: [
      step({ command: "up", program: () => provided("key-1") }),
      step({ command: "up", program: () => provided("key-2") }),
    ],
  },
  {
    name: "secret-becomes-plain",
    about: "a value that stops being secret, and one that becomes it",
    steps: [
      step({ command: "up", program: () => plain(pulumi.secret("x"), "y") }),
      step({ command: "up", program: () => plain("x", pulumi.secret("y")) }),
    ],
  },
];

function secrets(value: string): ProgramOutputs {
  const hidden = pulumi.secret(value);
  const first = new Item("first", { value: hidden, nested: { list: [hidden, "clear"] } });
  const second = new Item("second", { value: first.value, text: pulumi.interpolate`<${hidden}>` });
  return { a: second.value, b: first.id, c: { nested: hidden } };
}

function additional(additionalSecretOutputs: string[]): ProgramOutputs {
  return { a: new Item("item", { value: "1" }, { additionalSecretOutputs }).result };
}

function provided(key: string): ProgramOutputs {
  const provider = new Provider("prov", { key: pulumi.secret(key) });
  new Item("item", { value: "1" }, { provider });
  return {};
}

function plain(first: pulumi.Input<string>, second: pulumi.Input<string>): ProgramOutputs {
  new Item("item", { first, second });
  return {};
}
