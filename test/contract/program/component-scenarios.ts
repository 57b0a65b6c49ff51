import * as pulumi from "@pulumi/pulumi";
import { Group, Item, Other, Provider } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Components, parents, aliases. */
export const componentScenarios: readonly Scenario[] = [
  {
    name: "component",
    about: "a component with children and outputs, and a resource that waits for all of it",
    steps: [
      step({ command: "preview", program: () => grouped("1") }),
      step({ command: "up", program: () => grouped("1") }),
      step({ command: "up", program: () => grouped("2") }),
      step({ command: "destroy" }),
    ],
  },
  {
    name: "component-providers",
    about: "a component hands its provider down to its children",
    steps: [
      step({
        command: "up",
        program: () => {
          const provider = new Provider("prov", { region: "a" });
          const outer = new Group("outer", {}, { providers: { recorder: provider } });
          const inner = new Group("inner", {}, { parent: outer });
          new Item("item", { value: "1" }, { parent: inner });
          return {};
        },
      }),
    ],
  },
  {
    name: "alias-name",
    about: "a renamed resource stays the same one",
    steps: [
      step({
        command: "up",
        program: () => {
          const old = new Item("old", { value: "1", name: "n" });
          new Item("user", { value: old.result });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          const fresh = new Item("fresh", { value: "1", name: "n" }, { aliases: [{ name: "old" }] });
          new Item("user", { value: fresh.result });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          const fresh = new Item("fresh", { value: "1", name: "n" });
          new Item("user", { value: fresh.result });
          return {};
        },
        flags: ["--expect-no-changes"],
      }),
    ],
  },
  {
    name: "alias-parent",
    about: "a resource moves below a component",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("item", { value: "1", name: "n" });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          const group = new Group("group", {});
          new Item(
            "item",
            { value: "1", name: "n" },
            { parent: group, aliases: [{ parent: pulumi.rootStackResource }] },
          );
          return {};
        },
      }),
    ],
  },
  {
    name: "alias-component",
    about: "a component is renamed and changes its type, and its children go with it",
    steps: [
      step({
        command: "up",
        program: () => {
          const group = new Group("app", {});
          new Item("app-item", { value: "1", name: "n" }, { parent: group });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          const aliases = [{ name: "app", type: "scenario:index:Group" }];
          const group = new Group("service", {}, { aliases }, "scenario:index:Service");
          new Item("service-item", { value: "1", name: "n" }, { parent: group });
          return {};
        },
      }),
    ],
  },
  {
    name: "alias-type",
    about: "a resource that changes its type with an alias is updated in place",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("thing", { value: "1", name: "n" });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          new Other("thing", { value: "2", name: "n" }, { aliases: [{ type: "recorder:index:Item" }] });
          return {};
        },
      }),
    ],
  },
  {
    name: "transforms",
    about: "transforms of the stack and of a resource change properties and options",
    steps: [
      step({
        command: "up",
        program: () => {
          pulumi.runtime.registerResourceTransform((args) =>
            args.type === "recorder:index:Item"
              ? { props: { ...args.props, stamped: "by the stack" }, opts: { ...args.opts, protect: false } }
              : undefined,
          );
          const group = new Group(
            "group",
            {},
            { transforms: [(args) => ({ props: { ...args.props, marked: "by the group" }, opts: args.opts })] },
          );
          const first = new Item("first", { value: "1" }, { parent: group });
          new Item("second", { value: first.result });
          return {};
        },
      }),
    ],
  },
  {
    name: "hooks",
    about: "hooks run before and after what they belong to",
    steps: [step({ command: "up", program: () => hooked("1") }), step({ command: "up", program: () => hooked("2") })],
  },
];

function grouped(value: string): ProgramOutputs {
  const group = new Group("group", { size: value });
  const first = new Item("first", { value }, { parent: group });
  const second = new Item("second", { value: first.result }, { parent: group });
  group.finish({ answer: second.result });
  const after = new Item("after", { value: "1" }, { dependsOn: [group] });
  return { a: after.id };
}

function hooked(value: string): ProgramOutputs {
  const note = (name: string) =>
    new pulumi.ResourceHook(name, (args) => {
      if (args.name !== "item") throw new Error(`unexpected resource ${args.name}`);
    });
  new Item(
    "item",
    { value },
    {
      hooks: {
        beforeCreate: [note("before-create")],
        afterCreate: [note("after-create")],
        beforeUpdate: [note("before-update")],
        afterUpdate: [note("after-update")],
      },
    },
  );
  return {};
}
