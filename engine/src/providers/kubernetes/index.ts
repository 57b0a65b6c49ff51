import type { ProviderFactory } from "../protocol/provider.ts";
import { KubernetesProvider } from "./provider.ts";

/** The package `kubernetes`. */
export const createKubernetesProvider: ProviderFactory = (log) => new KubernetesProvider(log);
