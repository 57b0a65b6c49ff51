import type { RecorderCloud } from "../recorder/cloud.ts";
import { Group, Item } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Drift. */
export const refreshScenarios: readonly Scenario[] = [
  {
    name: "refresh-drift",
    about: "what changed in the cloud is seen by a refresh and set right by the next update",
    steps: [
      step({ command: "up", program: base }),
      step({ command: "refresh", flags: ["--expect-no-changes"] }),
      step({ command: "refresh", before: drift }),
      step({ command: "up", program: base }),
    ],
  },
  {
    name: "refresh-vanished",
    about: "what vanished from the cloud leaves state, and the next update makes it again",
    steps: [
      step({ command: "up", program: base }),
      step({
        command: "refresh",
        before: (cloud) => {
          cloud.remove("first-id-1");
        },
      }),
      step({ command: "up", program: base }),
    ],
  },
  {
    name: "up-refresh",
    about: "an update that refreshes first",
    steps: [
      step({ command: "up", program: base }),
      step({ command: "preview", before: drift, program: base, flags: ["--refresh"] }),
      step({ command: "up", program: base, flags: ["--refresh"] }),
    ],
  },
  {
    name: "refresh-failing",
    about: "a resource that can't be read fails the refresh and stays in state",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("bad", { value: "1", failRead: true });
          new Item("good", { value: "1" });
          return {};
        },
      }),
      step({
        command: "refresh",
        before: (cloud) => {
          cloud.remove("good-id-1");
        },
        exit: 1,
      }),
    ],
  },
];

function base(): ProgramOutputs {
  const group = new Group("group", {});
  const first = new Item("first", { value: "1", name: "f" }, { parent: group });
  new Item("second", { value: first.name, name: "s" }, { parent: first });
  return { a: first.value };
}

function drift(cloud: RecorderCloud): void {
  const object = cloud.find("first-id-1");
  if (object === undefined) throw new Error("the object to change isn't there");
  cloud.replace({ ...object, properties: { ...object.properties, value: "drifted" } });
}
