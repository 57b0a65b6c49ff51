import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { findCli } from "../../../engine/src/cli/pulumi-cli.ts";

const root = join(import.meta.dirname, "../../..");

/** The script that a plugin of a package is: `plan` for previews that reach nothing, `own` for the engine's provider. */
export type PluginKind = "plan" | "own";

const plugins: Readonly<Record<PluginKind, (name: string) => string>> = {
  plan: () => join(import.meta.dirname, "plan-plugin.ts"),
  own: (name) => join(root, "engine/src/providers", name, "main.ts"),
};

/** What a command of the CLI left. */
export interface CliRun {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** The Pulumi CLI of the PATH, with providers for it to run and a home of its own. */
export class PulumiCli {
  readonly #folder: string;
  readonly #program: string;

  /** @param program its path */
  constructor(program: string, kind: PluginKind, packages: readonly string[]) {
    this.#program = program;
    this.#folder = mkdtempSync(join(tmpdir(), "tokenshield-pulumi-"));
    for (const name of ["bin", "home"]) mkdirSync(join(this.#folder, name));
    for (const name of packages) {
      const script = `#!/bin/sh\nexec "${process.execPath}" "${plugins[kind](name)}" "$@"\n`;
      writeFileSync(join(this.#folder, "bin", `pulumi-resource-${name}`), script, { mode: 0o755 });
    }
  }

  /** A folder that goes with it. */
  get folder(): string {
    return this.#folder;
  }

  /** An environment in which commands find the CLI and its providers, and nothing is fetched. */
  get environment(): NodeJS.ProcessEnv {
    const path = [join(this.#folder, "bin"), dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
    return {
      ...process.env,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      // The events of a preview as the embedded engine tells them, in place of one digest without findings.
      PULUMI_ENABLE_STREAMING_JSON_PREVIEW: "true",
      PULUMI_HOME: join(this.#folder, "home"),
      PATH: path,
    };
  }

  /**
   * Runs a command.
   * @param cwd folder of the project
   */
  run(words: readonly string[], cwd: string, environment: NodeJS.ProcessEnv): Promise<CliRun> {
    const child = spawn(this.#program, [...words, "--non-interactive"], {
      cwd,
      env: { ...this.environment, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [output, errors] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => {
        resolve({ status: status ?? 137, output, errors });
      });
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * To be called at the top of a suite that compares the engines: skips it, and says why, where there is no Pulumi CLI.
 * @returns the CLI, to be asked for once the tests run
 */
export function usePulumiCli(kind: PluginKind, packages: readonly string[]): () => PulumiCli {
  let cli: PulumiCli | undefined;
  before("the Pulumi CLI is there", async function () {
    const program = await findCli(process.env);
    if (program === undefined) {
      process.stdout.write("    skipped: there is no pulumi on the PATH\n");
      this.skip();
    }
    cli = new PulumiCli(program, kind, packages);
  });
  after(() => cli?.remove());
  return () => {
    if (cli === undefined) throw new Error("there is no Pulumi CLI yet: ask once the tests run");
    return cli;
  };
}
