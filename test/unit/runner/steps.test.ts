import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CheckStep, MochaStep } from "../../groups.ts";
import { follow } from "../../runner/stage.ts";
import { RunningStep } from "../../runner/steps.ts";

const root = join(import.meta.dirname, "../../..");
const takes = { cores: 1, gib: 1, minutes: 1 };

describe("a step of a test run", function () {
  this.timeout(120_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-steps-"));
    mkdirSync(join(folder, "run"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const begin = (step: CheckStep | MochaStep): RunningStep =>
    new RunningStep(step, { root, folder: join(folder, "run"), grep: undefined, colours: false });
  const check = (...command: readonly string[]): CheckStep => ({
    ...{ kind: "check", title: "a check", takes, limit: 30_000, command },
  });
  const suite = (text: string, more: Partial<MochaStep> = {}): MochaStep => {
    writeFileSync(join(folder, "one.test.js"), text);
    const files = [join(folder, "*.test.js")];
    return { kind: "mocha", title: "suites", takes, limit: 30_000, timeout: 10_000, files, ...more };
  };
  const printed = ({ log }: RunningStep): string => readFileSync(log, "utf8");
  const until = async (isSo: () => boolean): Promise<void> => {
    // The time limit of the test ends this where it never is so.
    while (!isSo()) await sleep(20);
  };

  it("counts a command as one check, whose words are kept in order", async () => {
    const good = begin(check("sh", "-c", "echo one; echo two >&2; echo three"));
    assert.deepEqual(await good.counts, { passed: 1, failed: 0, skipped: 0 });
    assert.equal(printed(good), "one\ntwo\nthree\n  ok  a check\n");
    const bad = begin(check("sh", "-c", "echo why; exit 1"));
    assert.deepEqual(await bad.counts, { passed: 0, failed: 1, skipped: 0 });
    const [report, ...more] = bad.reports;
    assert.equal(report?.what, "a check");
    assert.match(report.why, /\nwhy$/);
    assert.deepEqual(more, []);
  });

  it("stands behind others for a processor where it is told to", async () => {
    const print = `
      const { existsSync, readFileSync } = require("node:fs");
      const session = "/proc/self/autogroup";
      setTimeout(() => {
        console.log(require("node:os").getPriority());
        if (existsSync(session)) console.log(readFileSync(session, "utf8"));
      }, 300)`;
    const step = begin({ ...check(process.execPath, "-e", print), niceness: 7 });
    assert.equal((await step.counts).passed, 1);
    const [own, ...more] = printed(step).split("\n");
    assert.equal(own, "7");
    const session = more.filter((line) => line.startsWith("/autogroup"));
    if (process.getuid?.() === 0) for (const line of session) assert.match(line, / nice 7$/);
  });

  it("fails, and says why, where its program can't be started or takes too long", async () => {
    const absent = begin(check("no-such-program"));
    assert.equal((await absent.counts).failed, 1);
    assert.match(printed(absent), /FAILED {2}a check: .*no-such-program/);
    const slow = begin({ ...check("sleep", "600"), limit: 600 });
    assert.equal((await slow.counts).failed, 1);
    assert.match(printed(slow), /sleep was killed: it had not ended after 0\.01 min/);
  });

  it("counts tests one by one", async () => {
    const text = `it("good", () => {}); it("bad", () => { throw new Error("wrong"); }); it.skip("later", () => {});`;
    const step = begin(suite(text));
    const { passed, failed, skipped } = await step.counts;
    assert.deepEqual({ passed, failed, skipped }, { passed: 1, failed: 1, skipped: 1 });
    const [report, ...more] = step.reports;
    assert.match(report?.what ?? "", /one\.test\.js: bad$/);
    assert.match(report?.why ?? "", /^Error: wrong\n +at .*one\.test\.js/);
    assert.deepEqual(more, []);
  });

  it("fails where a run ends without having counted", async () => {
    const step = begin(suite(`it("ends", () => { console.log("last words"); process.exit(0); });`));
    assert.equal((await step.counts).failed, 1);
    assert.deepEqual(
      step.reports.map(({ what }) => what),
      ["suites: the run ended with status 0"],
    );
    assert.match(step.reports[0]?.why ?? "", /last words/);
  });

  it("runs a file in which something failed once more, and says what was unsteady", async () => {
    const mark = join(folder, "mark");
    const text = `const fs = require("node:fs");
      it("steady", () => {});
      it("unsteady", () => { if (!fs.existsSync("${mark}")) { fs.writeFileSync("${mark}", ""); throw new Error("lost"); } });`;
    const step = begin(suite(text, { again: true }));
    assert.deepEqual(await step.counts, { passed: 2, failed: 0, skipped: 0 });
    assert.match(printed(step), /UNSTEADY .*one\.test\.js: "unsteady" failed, and passed when it was run again/);
    const [report, ...more] = step.reports;
    assert.equal(report?.kind, "unsteady");
    assert.match(report.what, /one\.test\.js: unsteady$/);
    assert.match(report.why, /^Error: lost/);
    assert.deepEqual(more, []);
  });

  it("ends early after the test that runs, with what its suite does at the end", async () => {
    const [begun, cleaned] = [join(folder, "begun"), join(folder, "cleaned")];
    const text = `const fs = require("node:fs");
      after(() => fs.writeFileSync("${cleaned}", ""));
      it("runs", async () => { fs.writeFileSync("${begun}", ""); await new Promise((resolve) => setTimeout(resolve, 1500)); });
      it("would come next", () => { throw new Error("it ran"); });`;
    const step = suite(text);
    const running = begin(step);
    await until(() => existsSync(begun));
    running.cutShort(step);
    const { passed, failed, skipped } = await running.counts;
    assert.deepEqual({ passed, failed, skipped }, { passed: 1, failed: 0, skipped: 0 });
    assert.ok(existsSync(cleaned));
    const command = check("sleep", "600");
    const stopped = begin(command);
    stopped.cutShort(command);
    assert.deepEqual(await stopped.counts, { passed: 0, failed: 0, skipped: 0 });
  });

  it("is shown as it goes, from the beginning", async () => {
    const log = join(folder, "log");
    let shown = "";
    let isOver = false;
    const following = follow(
      log,
      () => isOver,
      (piece) => {
        shown += piece.toString();
      },
    );
    writeFileSync(log, "first\n");
    await until(() => shown === "first\n");
    writeFileSync(log, "second\n", { flag: "a" });
    isOver = true;
    await following;
    assert.equal(shown, "first\nsecond\n");
  });
});
