/** The embedded deployment engine. */
export { runCli, type CliOptions } from "./cli/run.ts";
export type { EmbeddedProviders, ProviderWithin } from "./provider/host.ts";
