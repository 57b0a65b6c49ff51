import { parseArgs } from "node:util";

/** A command line that makes no sense. */
export class UsageError extends Error {
  readonly code = "usage";
  constructor(message: string) {
    super(`${message}; --help tells more`);
    this.name = "UsageError";
  }
}

/** The operations on a stack. */
export const operationCommands = ["up", "preview", "refresh", "destroy"] as const;
/** The commands about stacks, `npm run stack -- <command>`. */
export const stackCommands = ["ls", "output", "export", "import", "rm", "unlock", "settle"] as const;

export type OperationCommand = (typeof operationCommands)[number];
export type StackCommand = (typeof stackCommands)[number];

/** The flags of operations, with what each means, for `--help`. */
const operationFlags = {
  stack: { type: "string", about: "the stack (its settings are in Pulumi.NAME.yaml)", value: "NAME" },
  "config-file": { type: "string", about: "the stack's settings, where not in Pulumi.NAME.yaml", value: "FILE" },
  engine: { type: "string", about: "cli or embedded; the CLI by default where pulumi is on the PATH", value: "ENGINE" },
  parallel: { type: "string", about: "how many resources at a time", value: "N" },
  yes: { type: "boolean", about: "don't ask before changing anything" },
  "skip-preview": {
    type: "boolean",
    about: "with --yes: no preview of a stack without resources; policies see theirs",
  },
  json: { type: "boolean", about: "print engine events, one a line" },
  diff: { type: "boolean", about: "show which properties change; secrets are masked" },
  "expect-no-changes": { type: "boolean", about: "fail where something changes, or would" },
  refresh: { type: "boolean", about: "compare state with what is really there first" },
  "policy-pack": {
    type: "string",
    about: "a folder of a policy pack; may be repeated",
    value: "FOLDER",
    multiple: true,
  },
  "policy-pack-config": {
    type: "string",
    about: "a JSON file of a policy pack's settings, in the order of the packs",
    value: "FILE",
    multiple: true,
  },
  "plan-provider": {
    type: "string",
    about: "plan without the providers of these packages, or all (preview only)",
    value: "PACKAGES",
  },
  help: { type: "boolean", about: "this text" },
} as const;

const stackFlags = {
  stack: { type: "string", about: "the stack", value: "NAME" },
  "config-file": { type: "string", about: "the stack's settings, where not in Pulumi.NAME.yaml", value: "FILE" },
  json: { type: "boolean", about: "print JSON" },
  "show-secrets": { type: "boolean", about: "print secrets in clear (output, export)" },
  file: { type: "string", about: "where an export goes to or an import comes from", value: "FILE" },
  force: { type: "boolean", about: "remove a stack that still has resources (rm)" },
  yes: { type: "boolean", about: "don't ask" },
  help: { type: "boolean", about: "this text" },
} as const;

/** What an operation's command line asks for. */
export interface OperationArguments {
  readonly kind: "operation";
  readonly command: OperationCommand;
  readonly stack: string;
  /** Undefined for the file that the stack's name gives. */
  readonly configFile: string | undefined;
  readonly engine: "cli" | "embedded" | undefined;
  readonly parallel: number | undefined;
  readonly yes: boolean;
  /** Whether nothing is planned before it is done, where nobody is asked and no policy is to see it. */
  readonly skipPreview: boolean;
  readonly json: boolean;
  readonly diff: boolean;
  readonly expectNoChanges: boolean;
  readonly refresh: boolean;
  readonly policyPacks: readonly string[];
  readonly policyPackConfigs: readonly string[];
  readonly planned: "all" | ReadonlySet<string> | undefined;
}

/** What a stack command's line asks for. */
export interface StackArguments {
  readonly kind: "stack";
  readonly command: StackCommand;
  readonly stack: string | undefined;
  readonly configFile: string | undefined;
  /** The name of one output. */
  readonly output: string | undefined;
  readonly json: boolean;
  readonly showSecrets: boolean;
  readonly file: string | undefined;
  readonly force: boolean;
  readonly yes: boolean;
}

/** Only a text to print. */
export interface HelpArguments {
  readonly kind: "help";
  readonly text: string;
}

type Parsed = OperationArguments | StackArguments | HelpArguments;

/**
 * Reads a command line: `up --stack NAME …` or `stack ls …`.
 *
 * @throws {UsageError} where it makes no sense
 */
export function readArguments(args: readonly string[]): Parsed {
  const [command = "--help", ...rest] = args;
  if (isOneOf(operationCommands, command)) return readOperation(command, rest);
  if (command === "stack") return readStack(rest);
  if (command === "--help" || command === "help") return { kind: "help", text: generalHelp() };
  throw new UsageError(`unknown command "${command}"; expected ${[...operationCommands, "stack"].join(", ")}`);
}

function readOperation(command: OperationCommand, args: readonly string[]): Parsed {
  const { values, positionals } = parse(args, operationFlags);
  if (values["help"] === true) return { kind: "help", text: helpText(`${command} --stack NAME`, operationFlags) };
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals.join(" ")}"`);
  const planned = text(values["plan-provider"]);
  if (planned !== undefined && command !== "preview") {
    throw new UsageError(`--plan-provider makes previews only; ${command} needs the real providers`);
  }
  const engine = text(values["engine"]);
  if (engine !== undefined && engine !== "cli" && engine !== "embedded") {
    throw new UsageError(`--engine ${engine}: expected cli or embedded`);
  }
  const parallel = text(values["parallel"]);
  if (parallel !== undefined && !/^[1-9]\d{0,4}$/.test(parallel)) {
    throw new UsageError(`--parallel ${parallel}: expected a number from 1`);
  }
  return {
    kind: "operation",
    command,
    stack: requiredStack(values["stack"]),
    configFile: text(values["config-file"]),
    engine,
    parallel: parallel === undefined ? undefined : Number(parallel),
    yes: values["yes"] === true,
    skipPreview: values["skip-preview"] === true,
    json: values["json"] === true,
    diff: values["diff"] === true,
    expectNoChanges: values["expect-no-changes"] === true,
    refresh: values["refresh"] === true,
    policyPacks: texts(values["policy-pack"]),
    policyPackConfigs: texts(values["policy-pack-config"]),
    planned: planned === undefined ? undefined : planned === "all" ? "all" : new Set(planned.split(",")),
  };
}

function readStack(args: readonly string[]): Parsed {
  const { values, positionals } = parse(args, stackFlags);
  const [command, ...rest] = positionals;
  if (values["help"] === true || command === undefined) {
    return { kind: "help", text: helpText(`stack ${stackCommands.join("|")} [--stack NAME]`, stackFlags) };
  }
  if (!isOneOf(stackCommands, command)) {
    throw new UsageError(`unknown stack command "${command}"; expected ${stackCommands.join(", ")}`);
  }
  const [output, ...others] = rest;
  if (others.length > 0 || (output !== undefined && command !== "output")) {
    throw new UsageError(`unexpected argument "${rest.join(" ")}"`);
  }
  return {
    kind: "stack",
    command,
    stack: command === "ls" ? text(values["stack"]) : requiredStack(values["stack"]),
    configFile: text(values["config-file"]),
    output,
    json: values["json"] === true,
    showSecrets: values["show-secrets"] === true,
    file: text(values["file"]),
    force: values["force"] === true,
    yes: values["yes"] === true,
  };
}

type Flags = Readonly<
  Record<
    string,
    {
      readonly type: "string" | "boolean";
      readonly about: string;
      readonly value?: string;
      readonly multiple?: boolean;
    }
  >
>;

function parse(args: readonly string[], flags: Flags) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { type, multiple }]) => [
      name,
      {
        type,
        multiple: multiple === true,
        ...({ stack: { short: "s" }, yes: { short: "y" }, help: { short: "h" } }[name] ?? {}),
      },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function requiredStack(value: unknown): string {
  const stack = text(value);
  if (stack === undefined) throw new UsageError("--stack NAME is missing");
  return stack;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function isOneOf<T extends string>(list: readonly T[], value: string): value is T {
  return (list as readonly string[]).includes(value);
}

function helpText(usage: string, flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { value, about }]) => {
    const flag = `--${name}${value === undefined ? "" : ` ${value}`}`;
    return `  ${flag.padEnd(28)}${about}`;
  });
  return `usage: ${usage} [flags]\n\n${rows.join("\n")}\n`;
}

function generalHelp(): string {
  return (
    "usage: up|preview|refresh|destroy --stack NAME [flags]\n" +
    `       stack ${stackCommands.join("|")} [--stack NAME] [flags]\n\n` +
    "Each command tells its flags with --help.\n"
  );
}
