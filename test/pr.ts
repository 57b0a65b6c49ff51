import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { stackNames } from "./graph/stack-files.ts";
import { differenceText, planDifference } from "./pr/difference.ts";

const help = `Runs what a pull request must pass, as .github/workflows/pull-request.yml does, and needs no network.

  npm run pr [-- --base REF] [--sarif FILE] [--junit FILE] [--difference FILE] [--only STEP …]

  --base REF         what the plans are compared with. Default: main
  --sarif, --junit   files for what the policy pack found
  --difference FILE  file for what changes in the plans, as Markdown
  --only STEP        one of build, lint, unit, contract, policy, plans, difference, workflows; may be repeated
  --fetch            brings actionlint here, the one thing that comes from elsewhere, and ends
`;

const root = join(import.meta.dirname, "..");

/** The checker of workflow files, which Go builds from its module (https://github.com/rhysd/actionlint). */
const actionlint = ["go", "run", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"];

interface Outcome {
  readonly step: string;
  readonly result: "ok" | "failed" | "skipped";
  /** Why, for a step that was skipped. */
  readonly why?: string;
}

function run(command: readonly string[], environment: NodeJS.ProcessEnv = {}): boolean {
  const [name = "", ...words] = command;
  const path = `${join(root, "node_modules", ".bin")}:${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const { status, error } = spawnSync(name, words, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path, ...environment },
    timeout: 1_800_000,
  });
  if (error !== undefined) process.stderr.write(`${name}: ${error.message}\n`);
  return status === 0;
}

const group = (name: string): boolean => run([process.execPath, "test/run.ts", name]);

/** Compares the committed plans with those of the base. */
function showDifference(base: string, file: string | undefined): Outcome {
  const step = "difference";
  if (spawnSync("git", ["rev-parse", "--verify", "--quiet", `${base}^{commit}`], { cwd: root }).status !== 0) {
    return { step, result: "skipped", why: `there is no ${base} here; name another by --base` };
  }
  const plans = stackNames.map((stack) => {
    const path = `test/golden/${stack}.json`;
    const { status, stdout } = spawnSync("git", ["show", `${base}:${path}`], {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 256 * 1024 * 1024,
    });
    return planDifference(stack, status === 0 ? stdout : undefined, readFileSync(join(root, path), "utf8"));
  });
  const text = differenceText(plans);
  process.stdout.write(`${text}\n`);
  if (file !== undefined) writeFileSync(file, text);
  return { step, result: "ok" };
}

function checkWorkflows(): Outcome {
  const step = "workflows";
  // Without a network Go takes the module from its own cache, or says that it isn't there.
  const cache = spawnSync("go", ["env", "GOMODCACHE"], { cwd: root, encoding: "utf8" });
  if (cache.status !== 0) return { step, result: "skipped", why: "there is no Go here, which builds actionlint" };
  const offline = {
    GOPROXY: `file://${cache.stdout.trim()}/cache/download`,
    GOSUMDB: "off",
    GOFLAGS: "-mod=mod",
  };
  const there = spawnSync(actionlint[0] ?? "", [...actionlint.slice(1), "-version"], {
    cwd: root,
    env: { ...process.env, ...offline },
    timeout: 300_000,
  });
  if (there.status !== 0)
    return { step, result: "skipped", why: "actionlint isn't here; `npm run pr -- --fetch` brings it" };
  return { step, result: run(actionlint, offline) ? "ok" : "failed" };
}

function main(words: readonly string[]): number {
  const { values } = parseArgs({
    args: [...words],
    options: {
      base: { type: "string", default: "main" },
      sarif: { type: "string" },
      junit: { type: "string" },
      difference: { type: "string" },
      only: { type: "string", multiple: true },
      fetch: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(help);
    return 0;
  }
  if (values.fetch === true) return run([...actionlint, "-version"], { GOFLAGS: "-mod=mod" }) ? 0 : 1;
  const reports = (["sarif", "junit"] as const).flatMap((name) => {
    const file = values[name];
    return file === undefined ? [] : [`--${name}`, file];
  });
  const result = (done: boolean): Outcome["result"] => (done ? "ok" : "failed");
  const steps: Readonly<Record<string, () => Outcome>> = {
    build: () => ({ step: "build", result: result(run(["tsc", "-b"])) }),
    lint: () => ({ step: "lint", result: result(group("lint")) }),
    // The golden plans are among them.
    unit: () => ({ step: "unit", result: result(group("unit")) }),
    contract: () => ({ step: "contract", result: result(group("contract")) }),
    policy: () => ({ step: "policy", result: result(group("policy")) }),
    plans: () => ({ step: "plans", result: result(run([process.execPath, "policy/src/command/main.ts", ...reports])) }),
    difference: () => showDifference(values.base, values.difference),
    workflows: checkWorkflows,
  };
  const named = values.only ?? Object.keys(steps);
  const strange = named.find((name) => steps[name] === undefined);
  if (strange !== undefined) {
    process.stderr.write(`no step ${strange}: expected ${Object.keys(steps).join(", ")}\n`);
    return 2;
  }
  if (!existsSync(join(root, "node_modules"))) process.stderr.write("run `npm ci` first\n");
  const outcomes = named.flatMap((name) => steps[name]?.() ?? []);
  process.stdout.write("\n");
  for (const { step, result: how, why } of outcomes) {
    process.stdout.write(`${how.padEnd(8)}${step}${why === undefined ? "" : `: ${why}`}\n`);
  }
  return outcomes.some(({ result: how }) => how === "failed") ? 1 : 0;
}

process.exitCode = main(process.argv.slice(2));
