export { openCheckpoint, readDeployment, type Snapshot } from "./checkpoint.ts";
export { clearSecrets, serializeResource } from "./serialize.ts";
