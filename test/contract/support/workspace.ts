import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { RecorderCloud } from "../recorder/cloud.ts";
import type { ScenarioStep } from "../program/scenario.ts";

const contract = resolve(import.meta.dirname, "..");
const repository = resolve(contract, "../..");

/** The passphrase of all test stacks, and a salt of it, so that both engines derive one key. */
export const passphrase = "correct horse battery staple";

/** A project in a folder of its own, with its state, its pretend cloud and a home for the CLI. */
export class Workspace {
  readonly root: string;
  readonly cloud: RecorderCloud;
  readonly stack = "test";
  readonly #salt: string;

  /** @param salt the stack's encryption salt */
  constructor(salt: string) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), "scenario-")));
    this.#salt = salt;
    for (const folder of ["state", "home"]) mkdirSync(join(this.root, folder));
    this.cloud = new RecorderCloud(join(this.root, "cloud"));
    this.#write("Pulumi.yaml", "name: scenario\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n");
    this.#write("package.json", '{"name":"scenario","type":"module","main":"index.js"}\n');
    this.#write("index.js", `export * from ${JSON.stringify(join(contract, "program/index.ts"))};\n`);
    symlinkSync(join(repository, "node_modules"), join(this.root, "node_modules"));
    this.configure({});
  }

  /** Writes the stack's settings. */
  configure(config: Readonly<Record<string, string>>): void {
    const lines = Object.entries(config).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`);
    const settings = lines.length === 0 ? "" : `config:\n${lines.join("")}`;
    this.#write(`Pulumi.${this.stack}.yaml`, `encryptionsalt: ${this.#salt}\n${settings}`);
  }

  /** The environment of one step; both engines and the plugin get it. */
  environment(scenario: string, step: number): NodeJS.ProcessEnv {
    return {
      ...process.env,
      PATH: [join(contract, "recorder"), dirname(process.execPath), process.env["PATH"] ?? ""].join(":"),
      PULUMI_HOME: join(this.root, "home"),
      PULUMI_BACKEND_URL: `file://${join(this.root, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: passphrase,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      NODE_COMPILE_CACHE: join(tmpdir(), "scenario-compile-cache"),
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      RECORDER_FOLDER: this.cloud.folder,
      SCENARIO: scenario,
      SCENARIO_STEP: String(step),
    };
  }

  /** The state file. */
  get checkpoint(): string {
    return join(this.root, "state", ".pulumi", "stacks", "scenario", `${this.stack}.json`);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #write(name: string, content: string): void {
    writeFileSync(join(this.root, name), content);
  }
}

/** The arguments of a step, without the stack. */
export function stepFlags(step: ScenarioStep): readonly string[] {
  return [...(step.command === "preview" ? [] : ["--yes", "--skip-preview"]), ...(step.flags ?? [])];
}
