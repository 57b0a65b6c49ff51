import { changeScenarios } from "./change-scenarios.ts";
import { componentScenarios } from "./component-scenarios.ts";
import { failureScenarios } from "./failure-scenarios.ts";
import { hookScenarios } from "./hook-scenarios.ts";
import { optionScenarios } from "./option-scenarios.ts";
import { refreshScenarios } from "./refresh-scenarios.ts";
import { remoteScenarios } from "./remote-scenarios.ts";
import { replaceScenarios } from "./replace-scenarios.ts";
import { secretScenarios } from "./secret-scenarios.ts";
import type { Scenario } from "./scenario.ts";

/** All scenarios, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  ...changeScenarios,
  ...replaceScenarios,
  ...componentScenarios,
  ...optionScenarios,
  ...secretScenarios,
  ...refreshScenarios,
  ...failureScenarios,
  ...hookScenarios,
  ...remoteScenarios,
];
