import { stackNames } from "../graph/stack-files.ts";
import { renewPlan } from "./plans.ts";

/** Writes the plans of all stacks: `npm run golden`. What changed is read in the commit. */
for (const stack of stackNames) await renewPlan(stack);
