export { type Asked, carryOut, parseWords, type Surroundings, usage } from "./command.ts";
export { tellLedgers } from "./exporter.ts";
export { makeParts, type Parts } from "./parts.ts";
export { serveMetrics } from "./serve.ts";
export { type ClassStatus, statusTable } from "./status.ts";
