import { spawn } from "node:child_process";
import { join } from "node:path";
import { layout } from "@tokenshield/lab";
import { labProgram } from "../../../lab/src/programs.ts";
import { engineOf, settingsIn, surroundingsOf } from "../../../lab/src/stack.ts";
import { type Done, ended } from "./deploy.ts";

/** The settings of a stack, by key without the project's prefix. */
export type RawSettings = Readonly<Record<string, unknown>>;

/** The settings of the lab's stack as another stack would have them that finds the cluster's shared parts there. */
export function besideLab(environment: string, changes: RawSettings): RawSettings {
  const { config } = settingsIn(join(layout().project, "stacks/Pulumi.lab.yaml")) as { config: Record<string, object> };
  const of = (key: string): object => config[`tokenshield:${key}`] ?? {};
  const addons = Object.keys(of("addons")).map((name) => [
    name,
    { mode: name === "certManager" ? "none" : "existing" },
  ]);
  return {
    environment,
    cluster: { ...of("cluster"), owner: "existing" },
    vault: of("vault"),
    registry: of("registry"),
    addons: Object.fromEntries(addons) as object,
    database: of("database"),
    safety: of("safety"),
    tags: { environment },
    ...changes,
  };
}

/**
 * Runs a command of the deployment for another stack on the lab's cluster. The program is the one that was compiled for
 * the lab's own stack.
 */
export async function deployOther(settings: RawSettings, command: string, ...words: readonly string[]): Promise<Done> {
  const at = layout();
  const stack = String(settings["environment"]);
  const config = Object.fromEntries(Object.entries(settings).map(([key, value]) => [`tokenshield:${key}`, value]));
  const lab = surroundingsOf(at, stack, { config });
  const [program = "", ...first] = engineOf(at, command);
  const env = { ...process.env, ...lab.environment, HELM_BIN: await labProgram(at, "helm") };
  return ended(spawn(program, [...first, ...words, "--stack", stack, ...lab.words], { cwd: at.project, env }));
}
