import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Group, groups, type Step } from "./groups.ts";
import type { Counts, Report } from "./reporter.ts";
import { next, type Room } from "./runner/schedule.ts";
import { follow } from "./runner/stage.ts";
import { logOf, RunningStep, type Surroundings } from "./runner/steps.ts";

const root = dirname(import.meta.dirname);
const all = groups((path) => existsSync(join(root, path)));

const help = `usage: npm test [-- GROUP…] [-- --grep TEXT]

Runs these groups:
${all.map(({ name, about }) => `  ${name.padEnd(10)}${about}`).join("\n")}

  --grep TEXT   only the tests whose title contains TEXT

Steps of several groups run side by side where the machine has room, and what they print is shown in this order. When
one fails, no group after its own goes on: what runs of those ends after the test that it is at.
Of the lab group, files in which something failed are run once more; what then passes is told as UNSTEADY.
What failed is told once more at the end, with the reason. Ends with one line: N passed, N failed, N skipped.
`;

const say = (text: string): void => void process.stdout.write(text);
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** One run of some groups. */
class TestRun {
  readonly #groups: readonly Group[];
  readonly #at: Surroundings;
  readonly #room: Room;
  readonly #running = new Map<string, RunningStep>();
  readonly #ended = new Map<string, "well" | "badly">();
  readonly #times = new Map<string, { readonly from: number; to: number }>();
  readonly #total: Counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #reports: Report[] = [];
  /** The groups that may go on are those before this position. */
  #open: number;
  #isOver = false;

  constructor(chosen: readonly Group[], at: Surroundings, room: Room) {
    this.#groups = chosen;
    this.#open = chosen.length;
    this.#at = at;
    this.#room = room;
  }

  async run(): Promise<Counts> {
    const stop = (): void => {
      this.#open = 0;
    };
    for (const kind of signals) process.on(kind, stop);
    await Promise.all([this.#work(), this.#show()]);
    for (const kind of signals) process.off(kind, stop);
    return this.#total;
  }

  /** @returns what failed in all steps, and what failed first and passed when it was run again */
  get reports(): readonly Report[] {
    return this.#reports;
  }

  /** Begins what may begin until nothing is left to do. */
  async #work(): Promise<void> {
    const waiting = new Map<string, Promise<void>>();
    for (;;) {
      const steps = this.#groups.slice(0, this.#open).flatMap((group) => group.steps);
      const unfinished = this.#groups.flatMap((group) => group.steps).filter(({ title }) => this.#running.has(title));
      const tasks = [...new Set([...steps, ...unfinished])];
      const progress = { running: new Set(this.#running.keys()), ended: this.#ended };
      const step = next(tasks, progress, this.#room);
      if (step !== undefined) {
        waiting.set(
          step.title,
          this.#do(step).finally(() => waiting.delete(step.title)),
        );
      } else if (waiting.size > 0) {
        await Promise.race(waiting.values());
      } else {
        break;
      }
    }
    this.#isOver = true;
  }

  async #do(step: Step): Promise<void> {
    const running = new RunningStep(step, this.#at);
    const time = { from: performance.now(), to: 0 };
    this.#running.set(step.title, running);
    this.#times.set(step.title, time);
    const { passed, failed, skipped } = await running.counts;
    time.to = performance.now();
    this.#total.passed += passed;
    this.#total.failed += failed;
    this.#total.skipped += skipped;
    this.#reports.push(...running.reports);
    this.#running.delete(step.title);
    this.#ended.set(step.title, failed === 0 && !running.isCutShort ? "well" : "badly");
    if (failed > 0) this.#closeAfter(step);
  }

  /** No group after that of a step which failed goes on; the others do, so that one run shows all that is wrong in it. */
  #closeAfter(failed: Step): void {
    this.#open = Math.min(this.#open, 1 + this.#groups.findIndex(({ steps }) => steps.includes(failed)));
    for (const step of this.#groups.slice(this.#open).flatMap((group) => group.steps)) {
      this.#running.get(step.title)?.cutShort(step);
    }
  }

  async #show(): Promise<void> {
    const hasEnded = ({ title }: Step): boolean => this.#ended.has(title);
    const write = (piece: Buffer): void => void process.stdout.write(piece);
    for (const { name, about, steps } of this.#groups) {
      if (this.#isOver && !steps.some(hasEnded)) {
        say(`\n== ${name}: not run\n`);
        continue;
      }
      say(`\n== ${name}: ${about}\n`);
      for (const step of steps) await follow(logOf(step, this.#at), () => this.#isOver || hasEnded(step), write);
      const left = steps.filter((step) => !hasEnded(step)).map(({ title }) => title);
      if (left.length > 0) say(`  not run: ${left.join(", ")}\n`);
      say(`== ${name}: ${this.#secondsOf(steps).toFixed(1)} s\n`);
    }
  }

  /** Seconds from the beginning of the first of some steps to the end of the last. */
  #secondsOf(steps: readonly Step[]): number {
    const times = steps.flatMap(({ title }) => this.#times.get(title) ?? []);
    if (times.length === 0) return 0;
    return (Math.max(...times.map(({ to }) => to)) - Math.min(...times.map(({ from }) => from))) / 1000;
  }
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes("--help")) {
    say(help);
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
  const chosen = all.filter(({ name }) => names.length === 0 || names.includes(name));
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-test-"));
  try {
    const room: Room = { cores: availableParallelism(), gib: process.availableMemory() / 1024 ** 3 };
    const run = new TestRun(chosen, { root, folder, grep, colours: process.stdout.isTTY }, room);
    const { passed, failed, skipped } = await run.run();
    for (const { kind, what, why } of run.reports) {
      say(`\n== ${kind.toUpperCase()} ${what}\n${why.replaceAll(/^/gm, "  ")}\n`);
    }
    say(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
