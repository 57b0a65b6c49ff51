import type { Serving } from "./protocol/server.ts";

/**
 * The providers by package, each loaded and served on a loopback port when it is first needed. The engine gives its
 * address in the handshake.
 */
export const providers: Readonly<Record<"kubernetes" | "random" | "vault", () => Promise<Serving>>> = {
  kubernetes: async () => {
    const [{ serve }, { createKubernetesProvider }] = await Promise.all([
      import("./protocol/server.ts"),
      import("./kubernetes/index.ts"),
    ]);
    return serve(createKubernetesProvider);
  },
  random: async () => {
    const [{ serve }, { createRandomProvider }] = await Promise.all([
      import("./protocol/server.ts"),
      import("./random/index.ts"),
    ]);
    return serve(createRandomProvider);
  },
  vault: async () => {
    const [{ serve }, { createVaultProvider }] = await Promise.all([
      import("./protocol/server.ts"),
      import("./vault/index.ts"),
    ]);
    return serve(createVaultProvider);
  },
};
