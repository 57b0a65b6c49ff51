import { createInterface } from "node:readline/promises";
import type { EventSink } from "../deploy/event.ts";
import type { DeploymentResult } from "../deploy/deployment.ts";
import { jsonDisplay } from "../display/json-events.ts";
import { lineDisplay } from "../display/lines.ts";
import { render } from "../display/property-diff.ts";
import { treeDisplay, type TerminalSize } from "../display/tree.ts";
import {
  Crypters,
  openBackend,
  openStack,
  type StackSession,
  stackOutputs,
  type Surroundings,
} from "../operation/stack-session.ts";
import type { OperationKind } from "../operation/operation.ts";
import type { EmbeddedProviders } from "../provider/host.ts";
import { hearInterrupts } from "./interrupts.ts";
import { readArguments, UsageError, type OperationArguments } from "./arguments.ts";
import { beginStack } from "./begin-stack.ts";
import { driveCli, findCli } from "./pulumi-cli.ts";
import { runStackCommand } from "./stack-commands.ts";

/** What the command line runs with. */
export interface CliOptions extends Surroundings {
  readonly embedded: EmbeddedProviders;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly isTerminal: boolean;
  /** Asked for only where there is a terminal. */
  readonly terminalSize?: () => TerminalSize;
}

/** Runs a command line and returns its exit status. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  try {
    const parsed = readArguments(args);
    if (parsed.kind === "help") {
      options.write(parsed.text);
      return 0;
    }
    const around = { ...options, configFile: parsed.configFile };
    if (parsed.kind === "stack") return await runStackCommand(parsed, around);
    const cli = parsed.engine === "embedded" ? undefined : await findCli(options.environment);
    if (cli === undefined && parsed.engine === "cli") throw new UsageError("--engine cli: pulumi is not on the PATH");
    if (cli === undefined) return await runEmbedded(parsed, around);
    await beginStack(parsed, around);
    return await driveCli(cli, parsed, options);
  } catch (error) {
    options.writeError(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

const kinds: Readonly<Record<OperationArguments["command"], OperationKind>> = {
  up: "update",
  preview: "update",
  refresh: "refresh",
  destroy: "destroy",
};

/** A command line that the embedded engine runs. */
interface EmbeddedRun {
  readonly args: OperationArguments;
  readonly options: CliOptions;
  readonly crypters: Crypters;
  /** Gives the stack's lock back, if there is one. */
  readonly unlock: () => Promise<void>;
}

async function runEmbedded(args: OperationArguments, options: CliOptions): Promise<number> {
  const crypters = new Crypters(options.environment);
  if (args.command === "preview") {
    const run: EmbeddedRun = { args, options, crypters, unlock: () => Promise.resolve() };
    const { result } = await operate(run, () => "preview");
    return finish(run, result);
  }
  if (!args.yes && !options.isTerminal) {
    throw new UsageError(`${args.command} changes things: say --yes, or run it in a terminal`);
  }
  const { backend } = await openBackend(options);
  const lock = await backend.lock(args.stack, options.now());
  const run: EmbeddedRun = { args, options, crypters, unlock: () => lock.release() };
  try {
    const first = await operate(run, (session) => (isPlannedFirst(args, session) ? "preview" : "change"));
    if (first.mode === "change") return await finish(run, first.result);
    if (!first.result.succeeded) return 1;
    if (!args.yes && !(await confirm(args))) return 1;
    const { result } = await operate(run, () => "change");
    return await finish(run, result);
  } finally {
    await lock.release();
  }
}

/**
 * Policies see the whole plan before anything changes; so does a person who is asked, and a program whose stack has no
 * resources: what it would make may be there, and the stack be new only because its state was lost.
 */
function isPlannedFirst(args: OperationArguments, { snapshot }: StackSession): boolean {
  if (!args.yes || args.policyPacks.length > 0) return true;
  return args.command === "up" && !args.skipPreview && snapshot.resources.length === 0;
}

async function confirm(args: OperationArguments): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${args.command} the stack ${args.stack}? (yes/no) `);
    return answer.trim().toLowerCase() === "yes";
  } finally {
    lines.close();
  }
}

/** The code of operations; to load it takes nearly as long as to derive a stack's key, and is done meanwhile. */
async function loadOperation() {
  const [{ defaultParallel, runOperation }, { startPolicyPacks }] = await Promise.all([
    import("../operation/operation.ts"),
    import("../policy/policy-packs.ts"),
  ]);
  return { defaultParallel, runOperation, startPolicyPacks };
}

type Mode = "preview" | "change";

/** @param choose what to do with the stack once it is open */
async function operate(
  { args, options, crypters, unlock }: EmbeddedRun,
  choose: (session: StackSession) => Mode,
): Promise<{ readonly mode: Mode; readonly result: DeploymentResult }> {
  const display = displayFor(args, options);
  const interrupts = hearInterrupts(display, unlock);
  try {
    const opening = openStack(options, args.stack, crypters);
    await Promise.race([crypters.deriving, opening]);
    const [session, operation] = await Promise.all([opening, loadOperation()]);
    const { defaultParallel, runOperation, startPolicyPacks } = operation;
    const mode = choose(session);
    const result = await runOperation(
      session,
      options,
      {
        kind: kinds[args.command],
        preview: mode === "preview",
        parallel: args.parallel ?? defaultParallel,
        refresh: args.refresh,
        embedded: options.embedded,
        planned: args.planned,
        emit: display,
        print: (line, stream) => {
          display({
            kind: "diagnostic",
            severity: stream === "stdout" ? "info" : "info#err",
            urn: undefined,
            message: line,
            streamId: 0,
            ephemeral: false,
          });
        },
        startPolicies:
          args.policyPacks.length === 0
            ? undefined
            : (context) => startPolicyPacks(args.policyPacks, args.policyPackConfigs, context, options.environment),
        onStart: interrupts.control,
      },
      crypters,
    );
    return { mode, result };
  } finally {
    interrupts.end();
  }
}

function displayFor(args: OperationArguments, options: CliOptions): EventSink {
  if (args.json) return jsonDisplay(options.write, options.now);
  const about = { write: options.write, diff: args.diff, now: options.now };
  if (!options.isTerminal) return lineDisplay(about);
  return treeDisplay({ ...about, size: options.terminalSize ?? (() => ({ columns: 80, rows: 24 })) });
}

async function finish(run: EmbeddedRun, result: DeploymentResult): Promise<number> {
  const { args, options } = run;
  if (!result.succeeded) return 1;
  const changed = Object.entries(result.changes).filter(([op, count]) => op !== "same" && op !== "read" && count > 0);
  if (args.expectNoChanges && changed.length > 0) {
    const list = changed.map(([op, count]) => `${count} ${op}`).join(", ");
    options.writeError(`error: no changes were expected, but there are: ${list}\n`);
    return 1;
  }
  if (args.command === "up" && !args.json) await printOutputs(run);
  return 0;
}

async function printOutputs({ args, options, crypters }: EmbeddedRun): Promise<void> {
  const session = await openStack(options, args.stack, crypters);
  const outputs = Object.entries(stackOutputs(session.snapshot) ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (outputs.length === 0) return;
  options.write("outputs:\n");
  for (const [name, value] of outputs)
    options.write(`  ${name}: ${typeof value === "string" ? value : render(value)}\n`);
}
