/** What programs of this project need to know of the embedded cluster. */
export { LabError, type LabErrorCode } from "./errors.ts";
export { layout, type Layout } from "./layout.ts";
export { type Client, kubectlClient, labProgram, vaultClient } from "./programs.ts";
export { type LabStatus, type PartStatus, status } from "./status.ts";
export { unsupported } from "./host/preflight.ts";
