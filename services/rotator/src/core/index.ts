export { codeOf, mayHelp, RotatorError, type StepCode } from "./errors.ts";
export {
  type Begin,
  comesBack,
  decide,
  type Decision,
  entered,
  liveOf,
  type Mandate,
  reopened,
  rollback,
} from "./machine.ts";
export type { ClassWork, Clock, Ledgers, Records, StepRecord, StoredLedger, Wait } from "./ports.ts";
export { ClassRun, type Limits, type Outcome, type RunOptions } from "./run.ts";
