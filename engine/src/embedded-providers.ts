import type { EmbeddedProviders } from "./provider/host.ts";
import { providers } from "./providers/index.ts";

/** The providers that come with the engine. Each is loaded when a program first needs it. */
export const embeddedProviders: EmbeddedProviders = providers;
