import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { UsageError, type OperationArguments } from "./arguments.ts";

/** The Pulumi CLI on the PATH, if there is one. */
export async function findCli(environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (environment["PATH"] ?? "").split(delimiter).filter(Boolean)) {
    const path = join(folder, "pulumi");
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  return undefined;
}

/** An operation as the CLI's own arguments. */
export function cliArguments(args: OperationArguments): readonly string[] {
  if (args.planned !== undefined)
    throw new UsageError("--plan-provider is the embedded engine's: say --engine embedded");
  return [
    args.command,
    ...["--stack", args.stack],
    ...(args.configFile === undefined ? [] : ["--config-file", args.configFile]),
    ...(args.parallel === undefined ? [] : ["--parallel", String(args.parallel)]),
    ...(args.yes && args.command !== "preview" ? ["--yes"] : []),
    ...(args.skipPreview && args.command !== "preview" ? ["--skip-preview"] : []),
    ...(args.json ? ["--json"] : []),
    ...(args.diff ? ["--diff"] : []),
    ...(args.expectNoChanges && args.command !== "destroy" ? ["--expect-no-changes"] : []),
    ...(args.refresh && args.command !== "refresh" ? ["--refresh"] : []),
    ...args.policyPacks.flatMap((folder) => ["--policy-pack", folder]),
    ...args.policyPackConfigs.flatMap((file) => ["--policy-pack-config", file]),
  ];
}

/** Lets the CLI do the operation, at the terminal of this process, and returns its exit status. */
export function driveCli(
  cli: string,
  args: OperationArguments,
  around: { readonly root: string; readonly environment: NodeJS.ProcessEnv },
): Promise<number> {
  const child = spawn(cli, cliArguments(args), {
    cwd: around.root,
    env: { ...around.environment, PULUMI_SKIP_UPDATE_CHECK: "true" },
    stdio: "inherit",
  });
  // The CLI hears the terminal's Ctrl-C itself; this process only waits for it.
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve(code ?? 1);
    });
  }).finally(() => process.off("SIGINT", ignore));
}
