import * as pulumi from "@pulumi/pulumi";
import { Group, Item } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Options of resources. */
export const optionScenarios: readonly Scenario[] = [
  {
    name: "protect",
    about: "a protected resource is neither deleted nor replaced until it is unprotected",
    steps: [
      step({ command: "up", program: () => guarded({ fixedZone: "a" }, true) }),
      step({ command: "up", program: () => guarded({ fixedZone: "b" }, true), exit: 1 }),
      step({ command: "up", program: () => ({}), exit: 1 }),
      step({ command: "destroy", exit: 1 }),
      step({ command: "up", program: () => guarded({ fixedZone: "b" }, false) }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "retain-on-delete",
    about: "a retained resource leaves state, but not the cloud",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("kept", { value: "1" }, { retainOnDelete: true });
          return {};
        },
      }),
      step({ command: "up", program: () => ({}) }),
    ],
  },
  {
    name: "deleted-with",
    about: "what dies with another resource isn't deleted by itself",
    steps: [
      step({
        command: "up",
        program: () => {
          const house = new Item("house", { value: "1" });
          new Item("room", { value: "2" }, { deletedWith: house });
          return {};
        },
      }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "ignore-changes",
    about: "ignored properties keep their old values, at every depth",
    steps: [
      step({ command: "up", program: () => ignoring("1", []) }),
      step({ command: "up", program: () => ignoring("2", ["value", "nested.inner", 'map["a.b"]', "list[0].x"]) }),
      step({ command: "up", program: () => ignoring("3", ["list[*].x", "map.*"]) }),
      step({ command: "up", program: () => ignoring("4", ["*"]) }),
    ],
  },
  {
    name: "inherited-options",
    about: "children inherit protect, retainOnDelete and deletedWith from their component",
    steps: [
      step({
        command: "up",
        program: () => {
          const house = new Item("house", { value: "1" });
          const group = new Group("group", {}, { protect: true, retainOnDelete: true, deletedWith: house });
          new Item("item", { value: "1" }, { parent: group });
          new Item("open", { value: "1" }, { parent: group, protect: false });
          return {};
        },
      }),
    ],
  },
  {
    name: "custom-timeouts",
    about: "timeouts reach the provider in seconds",
    steps: [
      step({ command: "up", program: () => timed("1", { create: "1h30m", update: "90s", delete: "5m" }) }),
      step({ command: "up", program: () => timed("2", { create: "1m", update: "2m" }) }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "depends-on-change",
    about: "a changed dependency changes state only",
    steps: [
      step({ command: "up", program: () => ordered([]) }),
      step({ command: "up", program: () => ordered(["first"]) }),
      step({ command: "up", program: () => ordered([]) }),
    ],
  },
  {
    name: "import",
    about: "an existing object is imported, later changed, and what doesn't exist can't be imported",
    steps: [
      step({
        command: "up",
        before: (cloud) => {
          cloud.create({
            id: "there",
            type: "recorder:index:Item",
            properties: { value: "1", name: "n", result: "was there" },
          });
        },
        program: () => imported("1", { import: "there" }),
      }),
      step({ command: "up", program: () => imported("1", {}), flags: ["--expect-no-changes"] }),
      step({ command: "up", program: () => imported("2", {}) }),
      step({
        command: "up",
        program: () => {
          imported("2", {});
          new Item("missing", { value: "1" }, { import: "nowhere" });
          return {};
        },
        exit: 1,
      }),
    ],
  },
  {
    name: "import-changed",
    about: "an imported object whose inputs differ from the program is updated",
    steps: [
      step({
        command: "up",
        before: (cloud) => {
          cloud.create({
            id: "there",
            type: "recorder:index:Item",
            properties: { value: "old", name: "n", result: "was there" },
          });
        },
        program: () => imported("new", { import: "there" }),
      }),
    ],
  },
  {
    name: "read",
    about: "an object that isn't owned is read, and forgotten when the program forgets it",
    steps: [
      step({
        command: "up",
        before: (cloud) => {
          cloud.create({ id: "foreign", type: "recorder:index:Item", properties: { value: "1", result: "foreign" } });
        },
        program: () => {
          const got = new Item("got", {}, { id: "foreign" });
          new Item("user", { value: got.result });
          return {};
        },
      }),
      step({ command: "up", program: () => ({}) }),
    ],
  },
  {
    name: "stack-reference",
    about: "a stack reads its own outputs of the last update",
    steps: [
      step({ command: "up", program: () => ({ a: "first", b: pulumi.secret("hidden") }) }),
      step({
        command: "up",
        program: () => {
          const self = new pulumi.StackReference("organization/scenario/test");
          new Item("item", { value: self.getOutput("a"), hidden: self.getOutput("b") });
          return { a: "second" };
        },
      }),
    ],
  },
];

function guarded(args: Record<string, unknown>, protect: boolean): ProgramOutputs {
  new Item("item", args, { protect });
  return {};
}

function ignoring(value: string, ignoreChanges: string[]): ProgramOutputs {
  new Item(
    "item",
    { value, nested: { inner: value, other: value }, map: { "a.b": value, c: value }, list: [{ x: value, y: value }] },
    { ignoreChanges },
  );
  return {};
}

function timed(value: string, customTimeouts: pulumi.CustomTimeouts): ProgramOutputs {
  new Item("item", { value }, { customTimeouts });
  return {};
}

function ordered(names: string[]): ProgramOutputs {
  const first = new Item("first", { value: "1" });
  new Item("second", { value: "2" }, { dependsOn: names.includes("first") ? [first] : [] });
  return {};
}

function imported(value: string, opts: { import?: string }): ProgramOutputs {
  return { a: new Item("item", { value, name: "n" }, opts).result };
}
