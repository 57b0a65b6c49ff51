import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { become } from "./become.ts";
import { attempt, run } from "./command.ts";
import { demo, demoTenant, endDemo, journeyText } from "./demo/demo.ts";
import { LabError } from "./errors.ts";
import { writeFile } from "./files.ts";
import { exclusively } from "./host/ownership.ts";
import { layout, type Layout, paths } from "./layout.ts";
import { labProgram } from "./programs.ts";
import { Progress } from "./progress.ts";
import { up } from "./up.ts";

/** The stack that targets the embedded cluster, and the one that is meant where none is named. */
const labStack = "lab";

/** V8's default lets the engine's short-lived messages fill hundreds of MiB before it collects them. */
const smallYoungGeneration = "--max-semi-space-size=4";

/** What an engine needs to know that the lab alone knows. */
interface Surroundings {
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** @returns the stack that a command line names, or undefined if it names none */
export function namedStack(words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => word === "--stack" || word === "-s" || word.startsWith("--stack="));
  const word = words[at];
  return word?.startsWith("--stack=") === true ? word.slice("--stack=".length) : at < 0 ? undefined : words[at + 1];
}

/** The program runs compiled; compiling what did not change takes a second. */
async function compile(at: Layout): Promise<void> {
  const { status, stdout } = await attempt(["tsc", "--build", "tsconfig.program.json"], { cwd: at.project });
  if (status !== 0) throw new LabError("BUILD_FAILED", `the program does not compile:\n${stdout}`);
}

/** Takes an option with its value out of a command line. */
function without(
  words: readonly string[],
  option: string,
): { readonly value?: string; readonly rest: readonly string[] } {
  const at = words.indexOf(option);
  const value = words[at + 1];
  if (at < 0 || value === undefined) return { rest: words };
  return { value, rest: words.filter((_, index) => index !== at && index !== at + 1) };
}

/**
 * The lab stack's state and its passphrase lie with the lab's data, so that `reset` forgets them together. Its settings
 * are a copy of the committed ones, or of the file that `--config-file` names, because an engine writes the salt of the
 * passphrase into the file that it is given.
 */
function ofLab(at: Layout, words: readonly string[]): Surroundings {
  const folder = join(at.state, "deploy");
  const passphrase = join(folder, "passphrase");
  mkdirSync(join(folder, "state"), { recursive: true, mode: 0o700 });
  if (!existsSync(passphrase)) writeFile(passphrase, randomBytes(32).toString("base64"), 0o600);
  const settings = join(folder, `Pulumi.${labStack}.yaml`);
  const { value: own = join(at.project, "stacks", `Pulumi.${labStack}.yaml`), rest } = without(words, "--config-file");
  const committed = parse(readFileSync(own, "utf8")) as object;
  const salt = existsSync(settings)
    ? (parse(readFileSync(settings, "utf8")) as { encryptionsalt?: string }).encryptionsalt
    : undefined;
  writeFile(settings, stringify({ ...(salt === undefined ? {} : { encryptionsalt: salt }), ...committed }), 0o600);
  const named = namedStack(words) === undefined && words[0] !== "ls" ? ["--stack", labStack] : [];
  return {
    words: [...rest, ...named, "--config-file", settings],
    environment: {
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: passphrase,
      // Vault's clients read the token from this home; the CLI keeps its plug-ins where they are.
      HOME: paths.vaultHome(at),
      PULUMI_HOME: process.env["PULUMI_HOME"] ?? join(homedir(), ".pulumi"),
    },
  };
}

async function onlyDemo(at: Layout, words: readonly string[], progress: Progress): Promise<number> {
  if (words.length > 0) throw new LabError("USAGE", `demo takes no arguments, and was given: ${words.join(" ")}`);
  await exclusively(at, "up", () => up(at, progress, "everything"));
  const why = await showDemo(at, progress);
  if (why !== undefined) throw new LabError("DEMO_FAILED", `There is no demo: ${why}. First: npm run up`);
  return 0;
}

/**
 * Runs a command of the deployment engine. For the stack that targets the embedded cluster this is brought up first,
 * and the engine is told where the stack's state and credentials lie.
 */
async function main([command = "--help", ...words]: readonly string[]): Promise<number> {
  const at = layout();
  const progress = new Progress();
  if (command === "demo") return onlyDemo(at, words, progress);
  const engine = engineOf(at, command);
  const informs = command === "--help" || words.includes("--help");
  const stackCommand = command === "stack" ? words.slice(0, 1) : [];
  const rest = words.slice(stackCommand.length);
  if (informs || (namedStack(rest) ?? labStack) !== labStack) {
    if (!informs && command !== "stack") await compile(at);
    return become([...engine, ...words]);
  }
  if (command !== "stack") {
    await exclusively(at, "up", () => up(at, progress, "everything"));
    await progress.step("compiling the program", () => compile(at));
  }
  const lab = ofLab(at, rest);
  const helm = command === "stack" ? {} : { HELM_BIN: await labProgram(at, "helm") };
  // An update of the embedded cluster needs no question: it is there for it, and `destroy` takes it back.
  const agreed = command === "up" ? ["--yes"] : [];
  if (command === "destroy") await endDemo(at);
  const status = await become([...engine, ...stackCommand, ...lab.words, ...agreed], { ...lab.environment, ...helm });
  if (command !== "up" || status !== 0) return status;
  const shown = await showDemo(at, progress);
  if (shown !== undefined) progress.say(`No demo: ${shown}`);
  return 0;
}

/** The engine with a command. */
const engineOf = (at: Layout, command: string): readonly string[] => [
  process.execPath,
  smallYoungGeneration,
  join(at.project, "engine/src/main.ts"),
  command,
];

/**
 * Sends a test card through the lab's platform and prints what each hop saw.
 * @returns why there can be no demo; undefined once there was one
 */
async function showDemo(at: Layout, progress: Progress): Promise<string | undefined> {
  const { words, environment } = ofLab(at, ["output", "--json"]);
  const env = { ...process.env, ...environment };
  const outputs = demoTenant(JSON.parse(await run([...engineOf(at, "stack"), ...words], { cwd: at.project, env })));
  if (outputs === undefined) return "the lab's stack has no tenant acme with both proxies";
  process.stdout.write(journeyText(await demo(at, outputs, progress), outputs.ingressUrl));
  return undefined;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
