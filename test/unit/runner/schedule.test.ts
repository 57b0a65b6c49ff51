import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { groups } from "../../groups.ts";
import { next, type Progress, type Room, type Task } from "../../runner/schedule.ts";

const root = join(import.meta.dirname, "../../..");

const task = (title: string, minutes: number, more: { cores?: number; gib?: number; after?: string[] } = {}): Task => ({
  title,
  takes: { minutes, cores: more.cores ?? 1, gib: more.gib ?? 1 },
  ...(more.after === undefined ? {} : { after: more.after }),
});

const machine: Room = { cores: 2, gib: 8 };

/** Plays a list to its end, with the minutes that it says. @returns when each task begins, and when all is over */
function play(all: readonly Task[], room: Room = machine): { begun: Record<string, number>; over: number } {
  const begun: Record<string, number> = {};
  const running = new Map<string, number>();
  const ended = new Map<string, "well" | "badly">();
  let now = 0;
  for (;;) {
    const task = next(all, { running: new Set(running.keys()), ended }, room);
    if (task !== undefined) {
      begun[task.title] = now;
      running.set(task.title, now + task.takes.minutes);
      continue;
    }
    const [title, at] = [...running].sort(([, one], [, other]) => one - other)[0] ?? [];
    if (title === undefined || at === undefined) return { begun, over: now };
    now = at;
    running.delete(title);
    ended.set(title, "well");
  }
}

describe("which step of a test run begins", () => {
  it("is the one on which most hangs, while there is room", () => {
    const all = [
      task("short", 1),
      task("long", 5),
      task("base", 1, { cores: 0.5 }),
      task("after", 6, { after: ["base"] }),
    ];
    const { begun } = play(all);
    assert.deepEqual(begun, { base: 0, long: 0, after: 1, short: 5 });
  });

  it("waits for processors and for memory", () => {
    assert.deepEqual(play([task("a", 3), task("b", 2), task("c", 1)]).begun, { a: 0, b: 0, c: 2 });
    const large = [task("a", 3, { gib: 5 }), task("b", 2, { gib: 5 })];
    assert.deepEqual(play(large).begun, { a: 0, b: 3 });
  });

  it("runs alone what is larger than the machine", () => {
    const small: Room = { cores: 1, gib: 1 };
    assert.deepEqual(play([task("a", 2, { gib: 3 }), task("b", 1, { cores: 4 })], small).begun, { a: 0, b: 2 });
  });

  it("never is one whose condition failed, or has not ended", () => {
    const all = [task("base", 1), task("after", 1, { after: ["base"] })];
    const during: Progress = { running: new Set(["base"]), ended: new Map() };
    const failed: Progress = { running: new Set(), ended: new Map([["base", "badly"]]) };
    assert.equal(next(all, during, machine), undefined);
    assert.equal(next(all, failed, machine), undefined);
    assert.equal(next(all.slice(1), during, machine)?.title, "after", "a condition that isn't part of the run is none");
  });
});

describe("the groups of npm test", () => {
  const steps = groups(() => true).flatMap((group) => group.steps);

  it("have steps with titles of their own, and conditions among them that can be met", () => {
    assert.equal(new Set(steps.map(({ title }) => title)).size, steps.length);
    const { begun } = play(steps);
    assert.deepEqual(Object.keys(begun).sort(), steps.map(({ title }) => title).sort());
  });

  it("build for the lab from the beginning, beside what needs nothing of it", () => {
    const { begun } = play(steps);
    assert.equal(begun["what the lab needs is built"], 0);
    assert.ok((begun["servers"] ?? 0) >= 0.3 && (begun["cluster"] ?? 0) >= 0.4);
    assert.ok((begun["contract"] ?? Infinity) < (begun["cluster"] ?? 0) + 12, "while the cluster's suites run");
  });

  it("run each suite of the lab once, and those that use the cluster one after the other", () => {
    const [servers, cluster] = ["servers", "cluster"].map((title) => steps.find((step) => step.title === title));
    assert.ok(servers?.kind === "mocha" && cluster?.kind === "mocha");
    assert.deepEqual(cluster.without, servers.files);
    const files = globSync([...servers.files], { cwd: root });
    assert.ok(files.length > 10);
    const using = files.filter((file) =>
      /\b(useLab|useAddresses|kubectl|deploy)\(/.test(readFileSync(join(root, file), "utf8")),
    );
    assert.deepEqual(using, [], "these belong to the step `cluster`, or they would meet there with its suites");
  });
});
