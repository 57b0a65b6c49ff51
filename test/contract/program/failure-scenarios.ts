import * as pulumi from "@pulumi/pulumi";
import { Group, Item } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** What goes wrong, and how the next run goes on. */
export const failureScenarios: readonly Scenario[] = [
  {
    name: "create-fails",
    about: "what was done before a failure is in state, and the next run goes on",
    steps: [
      step({ command: "up", program: () => failing({ failCreate: true }), exit: 1 }),
      step({ command: "up", program: () => failing({}) }),
    ],
  },
  {
    name: "update-fails",
    about: "a failed update leaves the old state",
    steps: [
      step({ command: "up", program: () => failing({}) }),
      step({ command: "up", program: () => failing({ failUpdate: true }), exit: 1 }),
      step({ command: "up", program: () => failing({ fixed: "now" }) }),
    ],
  },
  {
    name: "delete-fails",
    about: "a failed deletion keeps the resource in state",
    steps: [
      step({ command: "up", program: () => failing({ failDelete: true }) }),
      step({
        command: "up",
        program: () => {
          new Item("first", { value: "1" });
          return {};
        },
        exit: 1,
      }),
    ],
  },
  {
    name: "replace-delete-fails",
    about: "the original of a replacement that can't be deleted is tried again by the next run",
    steps: [
      step({ command: "up", program: () => failing({ failDelete: true, fixedZone: "a" }) }),
      step({ command: "up", program: () => failing({ fixedZone: "b" }), exit: 1 }),
      step({ command: "up", program: () => failing({ fixedZone: "b" }), exit: 1 }),
    ],
  },
  {
    name: "replacement-create-fails",
    about: "a resource that was deleted for its replacement is created by the next run",
    steps: [
      step({ command: "up", program: () => failing({ fixedZone: "a", dbr: true }) }),
      step({ command: "up", program: () => failing({ fixedZone: "b", dbr: true, failCreate: true }), exit: 1 }),
      step({ command: "up", program: () => failing({ fixedZone: "b", dbr: true }) }),
    ],
  },
  {
    name: "init-fails",
    about: "a resource that exists, but isn't ready, is in state and waited for again",
    steps: [
      step({ command: "up", program: () => failing({ failInit: true }), exit: 1 }),
      step({ command: "up", program: () => failing({}) }),
    ],
  },
  {
    name: "update-init-fails",
    about: "an update after which the resource isn't ready is tried again",
    steps: [
      step({ command: "up", program: () => failing({}) }),
      step({ command: "up", program: () => failing({ value: "2", failInit: true }), exit: 1 }),
      step({ command: "up", program: () => failing({ value: "2" }) }),
    ],
  },
  {
    name: "check-fails",
    about: "refused inputs stop the run before anything is done to the resource",
    steps: [
      step({ command: "preview", program: () => failing({ refuse: true }), exit: 1 }),
      step({ command: "up", program: () => failing({ refuse: true }), exit: 1 }),
    ],
  },
  {
    name: "program-throws",
    about: "an exception in the program deletes nothing",
    steps: [
      step({ command: "up", program: () => failing({}) }),
      step({
        command: "up",
        program: async () => {
          const first = new Item("first", { value: "1" });
          await new Promise((resolve) => first.result.apply(resolve));
          throw new Error("the program is broken");
        },
        exit: 1,
      }),
    ],
  },
  {
    name: "logged-error",
    about: "an error that the program only logs",
    steps: [
      step({
        command: "up",
        program: async () => {
          await pulumi.log.error("something is odd");
          return failing({});
        },
      }),
    ],
  },
  {
    name: "duplicate-name",
    about: "two resources of one name are refused",
    steps: [
      step({
        command: "up",
        program: () => {
          const first = new Item("same", { value: "1" });
          new Item("same", { value: first.result });
          return {};
        },
        exit: 1,
      }),
    ],
  },
  {
    name: "expect-no-changes",
    about: "a preview that expects no changes fails where there are some",
    steps: [
      step({ command: "up", program: () => failing({}) }),
      step({ command: "preview", program: () => failing({}), flags: ["--expect-no-changes"] }),
      step({ command: "preview", program: () => failing({ value: "2" }), flags: ["--expect-no-changes"], exit: 1 }),
    ],
  },
];

function failing(args: Record<string, unknown>): ProgramOutputs {
  const group = new Group("group", {});
  const first = new Item("first", { value: "1" }, { parent: group });
  const item = new Item("item", { value: first.result, ...args }, { parent: group });
  new Item("after", { value: item.result });
  return { a: item.result };
}
