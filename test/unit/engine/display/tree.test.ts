import assert from "node:assert/strict";
import { mock } from "node:test";
import type { DeploymentEvent } from "../../../../engine/src/deploy/event.ts";
import { createStep, type Step } from "../../../../engine/src/deploy/step.ts";
import { treeDisplay, type TerminalSize } from "../../../../engine/src/display/tree.ts";
import { newState } from "../../../../engine/src/resource/state.ts";

/** A terminal that knows what the tree writes: text, line ends, and the two sequences that take lines back. */
class Terminal {
  readonly size: TerminalSize;
  /** Lines that left the screen at its top. */
  readonly scrolled: string[] = [];
  #screen: string[] = [""];

  constructor(size: TerminalSize) {
    this.size = size;
  }

  /** The lines on the screen, the cursor's own empty one not among them. */
  get screen(): readonly string[] {
    return this.#screen.slice(0, -1).map((line) => line.trimEnd());
  }

  write(text: string): void {
    for (const part of text.split(/(\u001b\[\d+[AJ]|\n)/)) {
      const up = /^\u001b\[(\d+)A$/.exec(part);
      if (up !== null)
        this.#screen = [...this.#screen.slice(0, Math.max(0, this.#screen.length - 1 - Number(up[1]))), ""];
      else if (part === "\n") this.#newLine();
      else if (!part.startsWith("\u001b")) this.#print(part);
    }
  }

  #print(text: string): void {
    for (let rest = text; rest !== "";) {
      const line = this.#screen.at(-1) ?? "";
      const room = this.size.columns - line.length;
      if (room === 0) this.#newLine();
      else {
        this.#screen[this.#screen.length - 1] = line + rest.slice(0, room);
        rest = rest.slice(room);
      }
    }
  }

  #newLine(): void {
    this.#screen.push("");
    if (this.#screen.length > this.size.rows) this.scrolled.push(this.#screen.shift() ?? "");
  }
}

describe("the live tree", () => {
  let now = 0;
  const stack = "urn:pulumi:lab::shield::pulumi:pulumi:Stack::shield-lab";
  const urnOf = (name: string) => `urn:pulumi:lab::shield::random:index/randomPassword:RandomPassword::${name}`;

  beforeEach(() => {
    now = 0;
    mock.timers.enable({ apis: ["setTimeout"] });
  });
  afterEach(() => {
    mock.timers.reset();
  });

  function watch(size: TerminalSize): {
    terminal: Terminal;
    hear: (event: DeploymentEvent) => void;
    pass: (ms: number) => void;
  } {
    const terminal = new Terminal(size);
    const write = (text: string) => {
      terminal.write(text);
    };
    const hear = treeDisplay({ write, diff: false, now: () => new Date(now), size: () => size });
    const pass = (milliseconds: number) => {
      now += milliseconds;
      mock.timers.tick(milliseconds);
    };
    return { terminal, hear, pass };
  }

  const step = (name: string): Step =>
    createStep(
      newState({
        ...(name === "" ? { urn: stack, type: "pulumi:pulumi:Stack", custom: false } : {}),
        ...(name === ""
          ? {}
          : { urn: urnOf(name), type: "random:index/randomPassword:RandomPassword", custom: true, parent: stack }),
      } as Parameters<typeof newState>[0]),
      () => undefined,
    );
  const begins = (name: string): DeploymentEvent => ({
    ...{ kind: "resource-begins", step: step(name), planning: false, internal: false },
  });
  const done = (name: string): DeploymentEvent => ({
    ...{ kind: "resource-done", step: step(name), op: "create", planning: false, internal: false },
  });
  const message = (text: string): DeploymentEvent => ({
    ...{ kind: "diagnostic", severity: "warning", urn: undefined, message: text, streamId: 0, ephemeral: false },
  });
  const end: DeploymentEvent = {
    ...{ kind: "summary", planning: false, maybeCorrupt: false, seconds: 3, changes: { create: 2 } },
    ...{ policyPacks: {}, result: "succeeded" },
  };

  it("shows each resource below its parent, with its state and its time, in the place where it was", () => {
    const { terminal, hear, pass } = watch({ columns: 80, rows: 24 });
    hear(begins(""));
    hear(begins("one"));
    pass(100);
    assert.deepEqual(terminal.screen, [
      "+ pulumi:pulumi:Stack shield-lab creating (0.1 s)",
      "+   random:index/randomPassword:RandomPassword one creating (0.1 s)",
    ]);
    pass(1400);
    hear(done("one"));
    hear(message("look out"));
    hear(begins("two"));
    pass(100);
    assert.deepEqual(terminal.screen, [
      "warning: look out",
      "+ pulumi:pulumi:Stack shield-lab creating (1.6 s)",
      "+   random:index/randomPassword:RandomPassword one created (1.5 s)",
      "+   random:index/randomPassword:RandomPassword two creating (0.1 s)",
    ]);
  });

  it("names a step that failed", () => {
    const { terminal, hear, pass } = watch({ columns: 80, rows: 24 });
    hear(begins("one"));
    hear({ kind: "resource-failed", step: step("one"), status: "ok", steps: 0 });
    pass(100);
    assert.deepEqual(terminal.screen, ["! random:index/randomPassword:RandomPassword one failed"]);
  });

  it("takes back all that it drew where the terminal is small, and shows what runs", () => {
    const { terminal, hear, pass } = watch({ columns: 30, rows: 6 });
    hear(message("first"));
    hear(begins(""));
    for (let index = 0; index < 20; index += 1) hear(begins(`r${index}`));
    pass(100);
    for (let index = 0; index < 18; index += 1) hear(done(`r${index}`));
    pass(100);
    pass(100);
    hear(message("second"));
    pass(100);
    // Nothing of the tree has scrolled away, where it couldn't be taken back.
    assert.deepEqual(terminal.scrolled, ["warning: first"]);
    assert.deepEqual(terminal.screen, [
      "warning: second",
      "+ pulumi:pulumi:Stack shield-",
      "+   random:index/randomPasswo",
      "+   random:index/randomPasswo",
      "  … and 18 more",
    ]);
  });

  it("ends with the whole tree and the summary, however small the terminal is", () => {
    const { terminal, hear, pass } = watch({ columns: 120, rows: 5 });
    hear(begins(""));
    for (let index = 0; index < 10; index += 1) hear(begins(`r${index}`));
    pass(100);
    for (let index = 0; index < 10; index += 1) hear(done(`r${index}`));
    hear(end);
    hear({ kind: "end" });
    pass(1000);
    const all = [...terminal.scrolled, ...terminal.screen];
    assert.equal(all.filter((line) => /RandomPassword r\d created/.test(line)).length, 10);
    assert.equal(all.filter((line) => line.includes("creating")).length, 1);
    assert.match(all.at(-1) ?? "", /^succeeded: 2 created, 3 s$/);
  });
});
