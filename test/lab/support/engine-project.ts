import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Done, ended } from "./deploy.ts";

const root = dirname(dirname(dirname(import.meta.dirname)));

/** A project of one program in a folder of its own, with its state, for the embedded engine as a process of its own. */
export class EngineProject {
  readonly folder: string;
  /** What the engine is told, and the program with it. */
  readonly environment: NodeJS.ProcessEnv;

  /**
   * @param name of the project
   * @param program path of the file that is the program
   */
  constructor(name: string, program: string, environment: Readonly<Record<string, string>> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), `${name}-`));
    this.environment = { ...process.env, PULUMI_CONFIG_PASSPHRASE: `the state of ${name}`, ...environment };
    mkdirSync(join(this.folder, "state"));
    const runtime = { name: "nodejs", options: { typescript: false } };
    this.write("Pulumi.yaml", JSON.stringify({ name, runtime, backend: { url: "file://./state" } }));
    this.write("Pulumi.test.yaml", "");
    this.write("package.json", `${JSON.stringify({ name, type: "module", main: "index.js" })}\n`);
    this.write("index.js", `export * from ${JSON.stringify(program)};\n`);
    symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
  }

  /** @returns the path of what was written */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Runs a command of the engine for the stack `test`, to its end. */
  run(...words: readonly string[]): Promise<Done> {
    const main = join(root, "engine/src/main.ts");
    const engine = words[0] === "stack" ? [] : ["--engine", "embedded"];
    const args = ["--max-semi-space-size=4", main, ...words, "--stack", "test", ...engine];
    return ended(spawn(process.execPath, args, { cwd: this.folder, env: this.environment }));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
