import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DeploymentError } from "../deploy/errors.ts";
import type { RunningProgram } from "../deploy/deployment.ts";
import { compileCacheVariables } from "./compile-cache.ts";
import { endWithThisProcess } from "./watcher.ts";

/** The exit status of a program that has logged its error itself. */
const loggedErrorStatus = 32;
/** How long a program may take to end when it is told to. */
const stopMilliseconds = 5_000;

/** V8's default lets short-lived messages fill hundreds of MiB before it collects them; a program here is short. */
const smallYoungGeneration = "--max-semi-space-size=4";

/** What a program is told. */
export interface ProgramOptions {
  readonly monitorAddress: string;
  readonly engineAddress: string;
  readonly project: string;
  readonly stack: string;
  readonly organization: string;
  readonly root: string;
  /** The program's folder and, below it, what to run. */
  readonly folder: string;
  readonly entry: string;
  readonly preview: boolean;
  readonly parallel: number;
  readonly config: ReadonlyMap<string, string>;
  readonly configSecretKeys: readonly string[];
  readonly nodeArguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Hears what the program prints. */
  readonly print: (line: string, stream: "stdout" | "stderr") => void;
}

/** A program's promise to register nothing more, and the permission to end. */
export class ShutdownGate {
  #signal: () => void = () => undefined;
  #open: () => void = () => undefined;
  readonly signaled = new Promise<void>((resolve) => {
    this.#signal = resolve;
  });
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  /** The program signals and waits. */
  wait(): Promise<void> {
    this.#signal();
    return this.#opened;
  }

  /** Lets it go on. */
  open(): void {
    this.#open();
  }
}

/** Runs a Node.js program through the SDK's own runner (`@pulumi/pulumi/cmd/run`), as the CLI's language host does. */
export function startNodeProgram(options: ProgramOptions, gate: ShutdownGate): RunningProgram {
  const runner = createRequire(join(options.root, "Pulumi.yaml")).resolve("@pulumi/pulumi/cmd/run");
  const config = Object.fromEntries(
    [...options.config].map(([key, value]) => {
      const at = key.indexOf(":");
      return [`${key.slice(0, at)}:config:${key.slice(at + 1)}`, value];
    }),
  );
  const child = spawn(
    process.execPath,
    [
      smallYoungGeneration,
      ...options.nodeArguments,
      runner,
      ...["--monitor", options.monitorAddress],
      ...["--engine", options.engineAddress],
      ...["--organization", options.organization],
      ...["--project", options.project],
      ...["--root-directory", options.root],
      ...["--stack", options.stack],
      ...["--pwd", options.folder],
      ...(options.preview ? ["--dry-run"] : []),
      ...["--parallel", String(options.parallel)],
      options.entry,
    ],
    {
      cwd: options.folder,
      env: {
        ...options.environment,
        ...compileCacheVariables(options.environment),
        PULUMI_CONFIG: JSON.stringify(config),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(options.configSecretKeys),
      },
      stdio: ["ignore", "pipe", "pipe"],
      // Ctrl-C reaches the engine, which decides when the program ends.
      detached: true,
    },
  );
  const endWatch = endWithThisProcess(child);
  createInterface({ input: child.stdout }).on("line", (line) => {
    options.print(line, "stdout");
  });
  createInterface({ input: child.stderr }).on("line", (line) => {
    options.print(line, "stderr");
  });
  const exited = exitOf(child).finally(endWatch);
  const ended = exited.then((failure) => {
    if (failure !== undefined) throw failure;
  });
  // A failure after the signal shows in release(), which waits for it.
  ended.catch(() => undefined);
  return {
    finished: Promise.race([gate.signaled, ended]),
    release: async () => {
      gate.open();
      await ended;
    },
    kill: async () => {
      gate.open();
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), stopMilliseconds);
      await exited;
      clearTimeout(timer);
    },
  };
}

function exitOf(child: ChildProcess): Promise<DeploymentError | undefined> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      resolve(new DeploymentError(`the program can't be started: ${error.message}`));
    });
    child.once("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else if (code === loggedErrorStatus) resolve(new DeploymentError("the program failed", { reported: true }));
      else resolve(new DeploymentError(`Program exited with non-zero exit code: ${signal ?? String(code)}`));
    });
  });
}
