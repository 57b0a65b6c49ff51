import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { outputsOf, type Promised } from "./components/outputs";
import { buildPlatform } from "./components/platform";
import type { StackOutputs } from "./stacks/outputs";
import { readSettings } from "./stacks/settings";

/** A path of the settings, which begins at the project's root, as this program and its providers reach it. */
function local(path: string): string {
  return relative(process.cwd(), resolve(pulumi.getRootDirectory(), path));
}

function optional(path: string | undefined): string | undefined {
  return path === undefined ? undefined : local(path);
}

function text(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, "utf8");
}

/** The program: reads the stack's settings, builds the platform, tells what other teams may rely on. */
export = async (): Promise<Promised<StackOutputs>> => {
  const settings = readSettings();
  const vaultCaFile = optional(settings.vault.caFile);
  const { charts } = settings.registry;
  const platform = await buildPlatform(settings, {
    now: new Date(),
    vaultCa: text(vaultCaFile),
    databaseCa: text(optional(settings.database.caFile)),
    vaultCaFile,
    kubeconfig: optional(settings.cluster.kubeconfig),
    charts: charts.includes("://") ? charts : local(charts),
  });
  return outputsOf(platform);
};
