import { Group, Item } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** How many resources the program has. */
export const crashCount = 100;

/**
 * A hundred resources with automatic names, whose values, zones and number change with each version: a run from one
 * version to the next creates, updates, replaces both ways and deletes.
 */
export const crashScenario: Scenario = {
  name: "crash",
  about: "a run that is killed",
  steps: [step({ command: "up", program: () => items(Number(process.env["CRASH_VERSION"])) })],
};

function items(version: number): ProgramOutputs {
  const group = new Group("group", {});
  const made: Item[] = [];
  const first = (version % 3) * 5;
  for (let index = first; index < first + crashCount; index += 1) {
    const before = made.at(-10);
    const zone = index % 4 === 0 ? { fixedZone: `${Math.floor(version / 2)}`, dbr: index % 8 === 0 } : {};
    const args = { value: `${version}`, before: before?.name ?? "none", delay: 5, ...zone };
    made.push(new Item(`item-${index}`, args, { parent: group }));
  }
  return { a: version };
}
