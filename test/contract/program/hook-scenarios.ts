import { appendFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Item } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Hooks that come with deletions and failures, each written down beside the provider's calls. */
export const hookScenarios: readonly Scenario[] = [
  {
    name: "delete-hooks",
    about: "hooks run before and after a deletion, as long as the program has them",
    steps: [
      step({ command: "up", program: () => deletable("there") }),
      step({ command: "up", program: () => deletable("gone") }),
    ],
  },
  {
    name: "delete-hook-fails",
    about: "a hook that fails before a deletion keeps the resource",
    steps: [
      step({ command: "up", program: () => deletable("there", "fails") }),
      step({ command: "up", program: () => deletable("gone", "fails"), exit: 1 }),
    ],
  },
  {
    name: "delete-hooks-of-replacement",
    about: "the original of a replacement is deleted with its hooks",
    steps: [
      step({ command: "up", program: () => deletable("there", "runs", "a") }),
      step({ command: "up", program: () => deletable("there", "runs", "b") }),
    ],
  },
  {
    name: "delete-hook-missing",
    about: "a deletion whose hooks the program has no longer is refused",
    steps: [
      step({ command: "up", program: () => deletable("there") }),
      step({ command: "up", program: () => ({}), exit: 1 }),
    ],
  },
  {
    name: "delete-hooks-destroy",
    about: "a destroy runs no program, so that there is nobody to run the hooks",
    steps: [
      step({ command: "up", program: () => deletable("there") }),
      step({ command: "destroy", program: () => deletable("there"), exit: 1 }),
    ],
  },
  {
    name: "error-hook-retries",
    about: "an error hook has a creation, an update and a deletion tried again",
    steps: [
      step({ command: "up", program: () => retried("there", { value: "1", failFirst: 2 }) }),
      step({ command: "up", program: () => retried("there", { value: "2", failFirst: 1 }) }),
      step({ command: "up", program: () => retried("gone", {}) }),
    ],
  },
  {
    name: "error-hook-gives-up",
    about: "an error hook that doesn't ask for another try lets the failure be",
    steps: [
      step({ command: "up", program: () => retried("there", { value: "1", failFirst: 5 }), exit: 1 }),
      step({ command: "up", program: () => retried("there", { value: "1", failFirst: 0 }) }),
    ],
  },
];

/** Adds a line to the recording, as the provider does. */
function record(name: string, about: object): void {
  const line = JSON.stringify({ method: `hook ${name}`, ...about });
  appendFileSync(join(process.env["RECORDER_FOLDER"] ?? "", "calls.jsonl"), `${line}\n`);
}

function deletable(item: "there" | "gone", outcome: "runs" | "fails" = "runs", fixedZone = "a"): ProgramOutputs {
  const hook = (name: string) =>
    new pulumi.ResourceHook(name, (args) => {
      record(name, args);
      if (outcome === "fails" && name === "before-delete") throw new Error("the hook fails");
    });
  const hooks = { beforeDelete: [hook("before-delete")], afterDelete: [hook("after-delete")] };
  if (item === "there") new Item("item", { value: "1", fixedZone }, { hooks });
  return {};
}

function retried(item: "there" | "gone", args: Readonly<Record<string, unknown>>): ProgramOutputs {
  const hook = new pulumi.ErrorHook("again", (failed) => {
    record("again", failed);
    return failed.errors.length < 3;
  });
  if (item === "there") new Item("item", args, { hooks: { onError: [hook] } });
  return {};
}
