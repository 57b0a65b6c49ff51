import { join } from "node:path";
import { become } from "./become.ts";
import { attempt, run } from "./command.ts";
import { demo, demoTenant, endDemo, journeyText, prepareDemo } from "./demo/demo.ts";
import { LabError } from "./errors.ts";
import { exclusively } from "./host/ownership.ts";
import { layout, type Layout } from "./layout.ts";
import { labProgram } from "./programs.ts";
import { Progress } from "./progress.ts";
import { engineOf, settingsIn, type Surroundings, surroundingsOf } from "./stack.ts";
import { up } from "./up.ts";

/** The stack that targets the embedded cluster, and the one that is meant where none is named. */
const labStack = "lab";

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

/** The same for the stack that is meant where none is named, by its committed settings or those of `--config-file`. */
function ofLab(at: Layout, words: readonly string[]): Surroundings {
  const { value: own = join(at.project, "stacks", `Pulumi.${labStack}.yaml`), rest } = without(words, "--config-file");
  const { words: settings, environment } = surroundingsOf(at, labStack, settingsIn(own));
  const named = namedStack(words) === undefined && words[0] !== "ls" ? ["--stack", labStack] : [];
  return { words: [...rest, ...named, ...settings], environment };
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
  if (command === "up") await prepareDemo(at);
  if (command === "destroy") await endDemo(at);
  const status = await become([...engine, ...stackCommand, ...lab.words, ...agreed], { ...lab.environment, ...helm });
  if (command !== "up" || status !== 0) return status;
  const shown = await showDemo(at, progress);
  if (shown !== undefined) progress.say(`No demo: ${shown}`);
  return 0;
}

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
