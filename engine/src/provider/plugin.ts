import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { ProviderError } from "./provider.ts";

/** A plugin that runs as a process of its own. */
export interface RunningPlugin {
  readonly address: string;
  readonly stop: () => Promise<void>;
}

/** How long a plugin may take to say its port, and to end when it is told to. */
const startMilliseconds = 60_000;
const stopMilliseconds = 5_000;

/**
 * Looks for an executable on the PATH, then among the CLI's plugins
 * (`$PULUMI_HOME/plugins/<kind>-<name>-v<version>/`).
 */
export async function findPlugin(
  name: string,
  version: string,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const executable = `pulumi-resource-${name}`;
  const home = environment["PULUMI_HOME"] ?? join(environment["HOME"] ?? "/", ".pulumi");
  const folders = (environment["PATH"] ?? "").split(delimiter).filter(Boolean);
  if (version !== "") folders.push(join(home, "plugins", `resource-${name}-v${version}`));
  for (const folder of folders) {
    const path = join(folder, executable);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  return undefined;
}

/**
 * Starts a plugin: it prints its port as its first line and serves until it is told to end.
 *
 * @param log hears what the plugin prints besides
 * @throws {ProviderError} where it ends or stays silent before it says its port
 */
export async function startPlugin(
  executable: string,
  about: {
    readonly args: readonly string[];
    readonly folder: string;
    readonly environment: NodeJS.ProcessEnv;
    readonly log: (line: string) => void;
  },
): Promise<RunningPlugin> {
  // A group of its own keeps a Ctrl-C of the terminal from it: the engine decides when a provider ends.
  const child = spawn(executable, about.args, {
    cwd: about.folder,
    env: about.environment,
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      resolve();
    });
  });
  createInterface({ input: child.stderr }).on("line", about.log);
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new ProviderError(`plugin ${executable} didn't say its port within ${startMilliseconds / 1000} s`));
    }, startMilliseconds);
    const lines = createInterface({ input: child.stdout });
    lines.once("line", (line) => {
      clearTimeout(timer);
      lines.on("line", about.log);
      if (/^\d+$/.test(line.trim())) resolve(Number(line));
      else reject(new ProviderError(`plugin ${executable} printed "${line}" where its port was expected`));
    });
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(new ProviderError(`plugin ${executable} can't be started: ${error.message}`));
    });
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      reject(new ProviderError(`plugin ${executable} ended before it said its port (${signal ?? String(code)})`));
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), stopMilliseconds);
      await ended;
      clearTimeout(timer);
    },
  };
}
