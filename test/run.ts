import { spawn } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { type Group, groups, type Step } from "./groups.ts";
import type { Counts, Outcome } from "./reporter.ts";

const root = dirname(import.meta.dirname);
const all = groups((path) => existsSync(join(root, path)));

const help = `usage: npm test [-- GROUP…] [-- --grep TEXT]

Runs the groups in this order and stops at the first that fails:
${all.map(({ name, about }) => `  ${name.padEnd(10)}${about}`).join("\n")}

  --grep TEXT   only the tests whose title contains TEXT

Of the lab group, files in which something failed are run once more; what then passes is told as UNSTEADY.
Ends with one line: N passed, N failed, N skipped.
`;

/** How long a test run may stay once its last test ended, in milliseconds: something that it left open keeps it. */
const farewell = 30_000;

interface Limits {
  /** Milliseconds after which the program, and whatever it started in its process group, is killed. */
  readonly limit: number;
  /** Says whether the program has done its work, so that it should end by itself. */
  readonly done?: () => boolean;
}

/**
 * Runs a program of the project to its end, or kills it when its time is up.
 *
 * @returns its exit status, 128 if it was killed
 * @throws Error if it can't be started
 */
function run(
  command: readonly string[],
  { limit, done }: Limits,
  environment: NodeJS.ProcessEnv = {},
): Promise<number> {
  const [name, ...rest] = command;
  if (name === undefined) throw new Error("an empty command");
  return new Promise((resolve, reject) => {
    const path = `${join(root, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`;
    const env = { ...process.env, PATH: path, ...environment };
    // A process group of its own can be ended as a whole; the terminal's signals are passed on.
    const child = spawn(name, rest, { cwd: root, stdio: ["ignore", "inherit", "inherit"], env, detached: true });
    const signal = (kind: NodeJS.Signals): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, kind);
    };
    const kill = (why: string): void => {
      process.stdout.write(`  ${basename(name)} was killed: ${why}\n`);
      signal("SIGKILL");
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const kind of signals) process.on(kind, signal);
    const timeUp = setTimeout(() => {
      kill(`it had not ended after ${(limit / 60_000).toString()} min`);
    }, limit);
    let doneSince: number | undefined;
    const watch = setInterval(() => {
      if (done?.() !== true) return;
      doneSince ??= Date.now();
      if (Date.now() - doneSince > farewell) kill("its tests ended, and something that they left open kept it");
    }, 1_000);
    const settle = (): void => {
      clearTimeout(timeUp);
      clearInterval(watch);
      for (const kind of signals) process.off(kind, signal);
    };
    child.once("error", (error) => {
      settle();
      reject(error);
    });
    child.once("exit", (code) => {
      settle();
      resolve(code ?? 128);
    });
  });
}

async function mocha(step: Step & { kind: "mocha" }, grep: string | undefined): Promise<Counts> {
  const files = globSync([...step.files], { cwd: root, exclude: ["**/node_modules/**"] }).sort();
  const first = await mochaFiles(step, files, grep);
  const failed = Object.values(first.failures).reduce((sum, counts) => sum + counts.failed, 0);
  if (step.again !== true || first.failed === 0 || failed !== first.failed) return first;
  return lookAgain(step, first, grep);
}

/** Runs the files in which something failed once more; their counts of that run stand for those of the first. */
async function lookAgain(step: Step & { kind: "mocha" }, first: Outcome, grep: string | undefined): Promise<Counts> {
  const files = Object.keys(first.failures).sort();
  const names = files.map((file) => relative(root, file));
  process.stdout.write(`\n  something failed in ${names.join(", ")}: these files run once more\n`);
  const second = await mochaFiles(step, files, grep);
  const dropped = Object.values(first.failures);
  for (const [index, file] of files.entries()) {
    if (second.failures[file] !== undefined) continue;
    for (const title of first.failures[file]?.titles ?? []) {
      process.stdout.write(`  UNSTEADY  ${names[index] ?? ""}: "${title}" failed, and passed when it was run again\n`);
    }
  }
  const sum = (kind: keyof Counts): number =>
    first[kind] + second[kind] - dropped.reduce((total, counts) => total + counts[kind], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

async function mochaFiles(
  step: Step & { kind: "mocha" },
  files: readonly string[],
  grep: string | undefined,
): Promise<Outcome> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0, failures: {} };
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-test-"));
  try {
    const counts = join(folder, "counts.json");
    const options = ["--reporter", "test/reporter.ts", "--timeout", step.timeout.toString(), "--forbid-only"];
    if (step.hooks !== undefined) options.push("--require", step.hooks);
    if (grep !== undefined) options.push("--fgrep", grep);
    const limits = { limit: step.limit, done: () => existsSync(counts) };
    const status = await run(["mocha", ...options, ...files], limits, { TOKENSHIELD_TEST_COUNTS: counts });
    if (!existsSync(counts)) return { passed: 0, failed: 1, skipped: 0, failures: {} };
    const counted = JSON.parse(readFileSync(counts, "utf8")) as Outcome;
    return status !== 0 && counted.failed === 0 ? { ...counted, failed: 1 } : counted;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function check(step: Step & { kind: "check" }): Promise<Counts> {
  const status = await run(step.command, { limit: 600_000 });
  process.stdout.write(`  ${status === 0 ? "ok" : "FAILED"}  ${step.title}\n`);
  return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** Runs every step of a group, the later ones too when one fails, so that one run shows all that is wrong in it. */
async function runGroup(group: Group, grep: string | undefined, total: Counts): Promise<boolean> {
  const started = performance.now();
  process.stdout.write(`\n== ${group.name}: ${group.about}\n`);
  let failed = 0;
  for (const step of group.steps) {
    const counts = step.kind === "check" ? await check(step) : await mocha(step, grep);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    failed += counts.failed;
  }
  process.stdout.write(`== ${group.name}: ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  return failed === 0;
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes("--help")) {
    process.stdout.write(help);
    return 0;
  }
  const at = words.indexOf("--grep");
  const grep = at < 0 ? undefined : words[at + 1];
  const names = words.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
  const unknown = names.filter((name) => !all.some((group) => group.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`no test group ${unknown.join(", ")}: expected ${all.map(({ name }) => name).join(", ")}\n`);
    return 2;
  }
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const group of all.filter(({ name }) => names.length === 0 || names.includes(name))) {
    if (!(await runGroup(group, grep, total))) break;
  }
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
  return total.failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
