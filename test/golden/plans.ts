import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { planText } from "../graph/graph.ts";
import { canary } from "../graph/mock-engine.ts";
import { rawSettings, type StackName } from "../graph/stack-files.ts";
import { built } from "../graph/stacks.ts";

const file = (stack: StackName): string => join(import.meta.dirname, `${stack}.json`);

/** The plan of a stack, as the program makes it now. */
export async function currentPlan(stack: StackName): Promise<string> {
  const { graph } = await built(rawSettings(stack));
  const text = planText(graph);
  const shown = graph.map(({ name }) => canary(name)).find((value) => text.includes(value));
  if (shown !== undefined) throw new Error(`the plan of ${stack} would show a secret`);
  return text;
}

/** The plan of a stack that was reviewed and committed. */
export function goldenPlan(stack: StackName): string {
  return readFileSync(file(stack), "utf8");
}

/** Writes the plan of a stack, for review. */
export async function renewPlan(stack: StackName): Promise<void> {
  writeFileSync(file(stack), await currentPlan(stack));
}
