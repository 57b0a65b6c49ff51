import * as pulumi from "@pulumi/pulumi";
import { outputsOf, type Promised } from "../../bin/components/outputs.js";
import { buildPlatform, type Platform } from "../../bin/components/platform.js";
import type { StackOutputs } from "../../bin/stacks/outputs.js";
import { parseSettings } from "../../bin/stacks/settings.js";
import { type MockOptions, type MockRun, run } from "./mock-engine.ts";

/** The time of every update in tests. */
export const now = new Date("2026-01-01T02:00:00.000Z");

/** A platform and its outputs. */
export interface Built {
  readonly platform: Platform;
  readonly outputs: StackOutputs;
  /** Whether anything in the outputs is a secret, which would hide all of them. */
  readonly outputsAreSecret: boolean;
}

/** Builds the platform of raw settings against mocks. */
export async function built(raw: unknown, options: MockOptions = {}): Promise<MockRun<Built>> {
  const settings = parseSettings(raw);
  const { value, graph } = await run(
    async () => {
      const platform = await buildPlatform(settings, {
        now,
        charts: settings.registry.charts,
        kubeconfig: settings.cluster.kubeconfig,
        ...(settings.database.caFile === undefined ? {} : { databaseCa: "-----BEGIN CERTIFICATE-----\n" }),
        ...(settings.vault.caFile === undefined
          ? {}
          : { vaultCaFile: settings.vault.caFile, vaultCa: "the lab's authority" }),
      });
      return { platform, promised: outputsOf(platform) };
    },
    { stack: settings.environment, ...options },
  );
  const outputs = await resolved(value.promised);
  const outputsAreSecret = await pulumi.isSecret(pulumi.output(value.promised));
  return { graph, value: { platform: value.platform, outputs, outputsAreSecret } };
}

async function resolved(promised: Promised<StackOutputs>): Promise<StackOutputs> {
  const output = pulumi.output(promised) as unknown as { promise(): Promise<StackOutputs> };
  return output.promise();
}
