import { serve } from "./server.ts";
import type { ProviderFactory } from "./provider.ts";

/**
 * Runs a provider as a plugin executable of the Pulumi CLI: takes the engine's address as the last argument, prints the
 * port on stdout, and ends on SIGINT or SIGTERM.
 * Source: pulumi/pulumi `sdk/go/common/resource/plugin/plugin.go`.
 */
export async function runPlugin(create: ProviderFactory): Promise<void> {
  const engineAddress = process.argv.slice(2).findLast((argument) => !argument.startsWith("-"));
  const serving = await serve(create, engineAddress);
  const stop = (): void => {
    void serving.stop();
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  process.stdout.write(`${serving.port}\n`);
}
