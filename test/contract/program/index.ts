import { crashScenario } from "./crash.ts";
import { oddScenarios } from "./odd.ts";
import { scenarios } from "./scenarios.ts";

const scenario = [...scenarios, ...oddScenarios, crashScenario].find(({ name }) => name === process.env["SCENARIO"]);
const step = scenario?.steps[Number(process.env["SCENARIO_STEP"])];
if (step?.program === undefined) throw new Error("SCENARIO and SCENARIO_STEP must name a program");
const outputs = await step.program();
export const { a, b, c, d } = outputs;
