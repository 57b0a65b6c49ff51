import type { ProviderHandlers } from "./protocol/server.ts";

/**
 * The providers by package, for an engine in the same process. Each is loaded when it is first needed, and told the
 * engine's address in the handshake.
 */
export const providers: Readonly<Record<"kubernetes" | "random" | "vault", () => Promise<ProviderHandlers>>> = {
  kubernetes: async () => {
    const [{ within }, { createKubernetesProvider }] = await Promise.all([
      import("./protocol/server.ts"),
      import("./kubernetes/index.ts"),
    ]);
    return within(createKubernetesProvider);
  },
  random: async () => {
    const [{ within }, { createRandomProvider }] = await Promise.all([
      import("./protocol/server.ts"),
      import("./random/index.ts"),
    ]);
    return within(createRandomProvider);
  },
  vault: async () => {
    const [{ within }, { createVaultProvider }] = await Promise.all([
      import("./protocol/server.ts"),
      import("./vault/index.ts"),
    ]);
    return within(createVaultProvider);
  },
};
