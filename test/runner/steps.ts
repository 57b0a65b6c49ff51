import { appendFileSync, existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { compileCacheVariables } from "../../engine/src/program/compile-cache.ts";
import type { CheckStep, MochaStep, Step } from "../groups.ts";
import { type Counts, endEarly, type Outcome, type Report } from "../reporter.ts";
import { type RunningProgram, start } from "./program.ts";

/** Where steps run. */
export interface Surroundings {
  /** Folder of the project. */
  readonly root: string;
  /** Folder of this run, for logs and what steps leave to each other. */
  readonly folder: string;
  /** Only the tests whose title contains this. */
  readonly grep: string | undefined;
  /** Whether what is shown may have colours. */
  readonly colours: boolean;
}

const nothing: Counts = { passed: 0, failed: 0, skipped: 0 };

/** Lines of a step's output that tell why it failed where nothing else does. */
const lastLines = 20;

/** A step that runs. */
export class RunningStep {
  /** What it counted, once it has ended. */
  readonly counts: Promise<Counts>;
  /** File that takes what it prints. */
  readonly log: string;
  /** Whether it was told to end before all was done. */
  isCutShort = false;
  /** What failed in it, and what failed first and passed when it was run again, complete once it has ended. */
  readonly reports: Report[] = [];
  readonly #at: Surroundings;
  #program: RunningProgram | undefined;

  constructor(step: Step, at: Surroundings) {
    this.#at = at;
    this.log = logOf(step, at);
    this.counts = (step.kind === "check" ? this.#check(step) : this.#mocha(step)).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#say(`FAILED  ${step.title}: ${why}`);
      this.reports.push({ kind: "failed", what: step.title, why });
      return { ...nothing, failed: 1 };
    });
  }

  /**
   * Has it end early, in order: a mocha run after the test that is running, with what its suites do at their end, any
   * other program at once. What it hasn't found wrong so far counts as nothing.
   */
  cutShort(step: Step): void {
    this.isCutShort = true;
    this.#say("ends here, as something failed that comes before it");
    if (step.kind === "check") this.#program?.stop();
    else this.#program?.tell(endEarly);
  }

  #say(line: string): void {
    appendFileSync(this.log, `  ${line}\n`);
  }

  #start(step: Step, command: readonly string[], done?: () => boolean, more: NodeJS.ProcessEnv = {}): Promise<number> {
    const { root, folder } = this.#at;
    this.#program = start({
      ...{ command, root, log: this.log, limit: step.limit },
      ...(step.niceness === undefined ? {} : { niceness: step.niceness }),
      ...(done === undefined ? {} : { done }),
      environment: { ...compileCacheVariables(process.env), TOKENSHIELD_TEST_RUN: folder, ...more },
    });
    return this.#program.ended;
  }

  async #check(step: CheckStep): Promise<Counts> {
    const status = await this.#start(step, step.command);
    if (this.isCutShort) return nothing;
    if (status !== 0) this.reports.push({ kind: "failed", what: step.title, why: this.#lastWords() });
    this.#say(`${status === 0 ? "ok" : "FAILED"}  ${step.title}`);
    return status === 0 ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
  }

  async #mocha(step: MochaStep): Promise<Counts> {
    const { root } = this.#at;
    const found = (patterns: readonly string[]): readonly string[] =>
      globSync([...patterns], { cwd: root, exclude: ["**/node_modules/**"] });
    const without = new Set(found(step.without ?? []));
    const files = found(step.files)
      .filter((file) => !without.has(file))
      .sort();
    const first = await this.#files(step, files);
    const failed = Object.values(first.failures).reduce((sum, counts) => sum + counts.failed, 0);
    if (step.again !== true || this.isCutShort || first.failed === 0 || failed !== first.failed) {
      this.reports.push(...first.reports);
      return first;
    }
    return this.#lookAgain(step, first);
  }

  /** Runs the files in which something failed once more; their counts of that run stand for those of the first. */
  async #lookAgain(step: MochaStep, first: Outcome): Promise<Counts> {
    const files = Object.keys(first.failures).sort();
    const names = files.map((file) => relative(this.#at.root, file));
    this.#say(`\n  something failed in ${names.join(", ")}: these files run once more`);
    const second = await this.#files(step, files);
    const failedAgain = new Set(second.reports.map(({ what }) => what));
    const unsteady = first.reports.filter(({ what }) => !failedAgain.has(what));
    this.reports.push(...second.reports, ...unsteady.map((report) => ({ ...report, kind: "unsteady" as const })));
    const dropped = Object.values(first.failures);
    for (const [index, file] of files.entries()) {
      if (second.failures[file] !== undefined) continue;
      for (const title of first.failures[file]?.titles ?? []) {
        this.#say(`UNSTEADY  ${names[index] ?? ""}: "${title}" failed, and passed when it was run again`);
      }
    }
    const sum = (kind: keyof Counts): number =>
      first[kind] + second[kind] - dropped.reduce((total, counts) => total + counts[kind], 0);
    return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
  }

  async #files(step: MochaStep, files: readonly string[]): Promise<Outcome> {
    if (files.length === 0) return { ...nothing, failures: {}, reports: [] };
    const { folder, grep, colours } = this.#at;
    const counts = join(folder, `${step.title}.json`);
    rmSync(counts, { force: true });
    const options = ["--reporter", "test/reporter.ts", "--timeout", step.timeout.toString(), "--forbid-only"];
    if (step.hooks !== undefined) options.push("--require", step.hooks);
    if (grep !== undefined) options.push("--fgrep", grep);
    if (colours) options.push("--color");
    const isDone = (): boolean => existsSync(counts);
    const status = await this.#start(step, ["mocha", ...options, ...files], isDone, {
      TOKENSHIELD_TEST_COUNTS: counts,
    });
    const ended = (): Report => ({
      kind: "failed",
      what: `${step.title}: the run ended with status ${status}`,
      why: this.#lastWords(),
    });
    if (!isDone()) {
      return { ...nothing, failures: {}, ...(this.isCutShort ? { reports: [] } : { failed: 1, reports: [ended()] }) };
    }
    const counted = JSON.parse(readFileSync(counts, "utf8")) as Outcome;
    if (status === 0 || counted.failed > 0 || this.isCutShort) return counted;
    return { ...counted, failed: 1, reports: [ended()] };
  }

  #lastWords(): string {
    return readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lastLines).join("\n");
  }
}

/** @returns the file that takes what a step prints, whether or not it runs already */
export function logOf({ title }: Step, { folder }: Surroundings): string {
  return join(folder, `${title.replaceAll(" ", "-")}.log`);
}
