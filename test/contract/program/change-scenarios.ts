import * as pulumi from "@pulumi/pulumi";
import { Item, Provider } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Creating, updating and deleting. */
export const changeScenarios: readonly Scenario[] = [
  {
    name: "create-update-delete",
    about: "two resources, one using the other's output, are created, changed, left alone and destroyed",
    steps: [
      step({ command: "preview", program: () => pair("one") }),
      step({ command: "up", program: () => pair("one") }),
      step({ command: "up", program: () => pair("one"), flags: ["--expect-no-changes"] }),
      step({ command: "preview", program: () => pair("two") }),
      step({ command: "up", program: () => pair("two") }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "removed-from-program",
    about: "what leaves the program is deleted, dependents first",
    steps: [
      step({
        command: "up",
        program: () => {
          const first = new Item("first", { value: "1" });
          const second = new Item("second", { value: first.result });
          new Item("third", { value: "3" }, { dependsOn: [second] });
          new Item("stays", { value: "s" });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          new Item("stays", { value: "s" });
          return {};
        },
      }),
    ],
  },
  {
    name: "detailed-diff",
    about: "a provider's detailed diff decides between update and replacement",
    steps: [
      step({ command: "up", program: () => single({ value: "1", detailed: true, fixedZone: "a" }) }),
      step({ command: "up", program: () => single({ value: "2", detailed: true, fixedZone: "a" }) }),
      step({ command: "up", program: () => single({ value: "2", detailed: true, fixedZone: "b" }) }),
    ],
  },
  {
    name: "vague-diff",
    about: "where the provider doesn't know, the engine compares the inputs",
    steps: [
      step({
        command: "up",
        program: () => single({ value: "1", vague: true, nested: { list: [1, 2], map: { a: null } } }),
      }),
      step({ command: "up", program: () => single({ value: "1", vague: true, nested: { list: [1, 2] } }) }),
      step({
        command: "up",
        program: () => single({ value: "1", vague: true, nested: { list: [1, 3], map: { b: "x" } } }),
      }),
    ],
  },
  {
    name: "explicit-provider",
    about: "an explicit provider is configured, changed in place, then replaced together with its resources",
    steps: [
      step({ command: "up", program: () => provided({ region: "a" }) }),
      step({ command: "up", program: () => provided({ region: "b" }) }),
      step({ command: "preview", program: () => provided({ region: "b", fixedHost: "h" }) }),
      step({ command: "up", program: () => provided({ region: "b", fixedHost: "h" }) }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "default-provider-config",
    about: "the default provider is configured by the stack's settings",
    steps: [
      step({ command: "up", program: () => single({ value: "1" }), config: { "recorder:region": "here" } }),
      step({ command: "up", program: () => single({ value: "1" }), config: { "recorder:region": "there" } }),
    ],
  },
  {
    name: "unknown-provider-config",
    about: "a provider whose configuration is known only after an update",
    steps: [
      step({ command: "preview", program: lateProvider }),
      step({ command: "up", program: lateProvider }),
      step({ command: "preview", program: lateProvider, flags: ["--expect-no-changes"] }),
    ],
  },
  {
    name: "invoke",
    about: "functions are called with known arguments, and not in a preview that doesn't know them yet",
    steps: [step({ command: "preview", program: invoking }), step({ command: "up", program: invoking })],
  },
  {
    name: "outputs",
    about: "the stack's outputs follow the program",
    steps: [
      step({ command: "up", program: () => ({ a: "1", b: { nested: [true, null, 2.5] } }) }),
      step({ command: "up", program: () => ({ a: "2", c: [] }) }),
    ],
  },
  {
    name: "many-resources",
    about: "thirty resources that depend on the one before the last",
    steps: [
      step({ command: "up", program: () => chain(30, "x") }),
      step({ command: "up", program: () => chain(20, "y") }),
      step({ command: "destroy" }),
    ],
  },
];

function pair(value: string): ProgramOutputs {
  const first = new Item("first", { value });
  const second = new Item("second", { value: pulumi.interpolate`${first.result}!`, list: [first.id, "x"] });
  return { a: first.result, b: second.id };
}

function single(args: Record<string, unknown>): ProgramOutputs {
  return { a: new Item("item", args).result };
}

function provided(args: Record<string, string>): ProgramOutputs {
  const provider = new Provider("prov", args);
  const item = new Item("item", { value: "1" }, { provider });
  new Item("child", { value: item.result }, { parent: item });
  return {};
}

function lateProvider(): ProgramOutputs {
  const first = new Item("first", { value: "1" });
  const provider = new Provider("late", { region: first.result });
  new Item("second", { value: "2" }, { provider });
  return {};
}

function invoking(): ProgramOutputs {
  const item = new Item("item", { value: "1" });
  const known = pulumi.runtime.invokeOutput<{ answer: string }>("recorder:index:echo", { question: "why" });
  const late = pulumi.runtime.invokeOutput<{ answer: string }>("recorder:index:echo", { question: item.result });
  return { a: known.answer, b: late.apply(({ answer }) => answer) };
}

function chain(count: number, value: string): ProgramOutputs {
  const items: Item[] = [];
  for (let index = 0; index < count; index += 1) {
    const before = items[index - 2];
    items.push(new Item(`item-${index}`, { value, before: before?.result ?? "none" }));
  }
  return {};
}
