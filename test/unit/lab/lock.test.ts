import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { locked } from "../../../lab/src/lock.ts";
import { Progress } from "../../../lab/src/progress.ts";

describe("a lock between processes", () => {
  let folder: string;
  const progress = new Progress({ write: () => undefined, terminal: false });
  const path = (): string => join(folder, "deep/one.lock");

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-lock-"));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it("lets one after the other do its work, and gives back what the work gives", async () => {
    const steps: string[] = [];
    const one = (name: string) =>
      locked(path(), progress, "building", async () => {
        steps.push(`${name} begins`);
        await sleep(20);
        steps.push(`${name} ends`);
        return name;
      });
    assert.deepEqual(await Promise.all(["a", "b", "c"].map(one)), ["a", "b", "c"]);
    assert.equal(steps.length, 6);
    for (let at = 0; at < steps.length; at += 2) {
      assert.equal(steps[at]?.replace("begins", "ends"), steps[at + 1], steps.join(", "));
    }
  });

  it("is free again after work that failed", async () => {
    await assert.rejects(
      locked(path(), progress, "building", () => Promise.reject(new Error("no compiler"))),
      /no compiler/,
    );
    assert.equal(await locked(path(), progress, "building", () => Promise.resolve(1)), 1);
  });

  it("says what it waits for", async () => {
    const waiting = new Promise<string>((resolve) => {
      const listening = new Progress({ write: resolve, terminal: false });
      void locked(path(), progress, "building", async () => {
        const second = locked(path(), listening, "building programs", () => Promise.resolve());
        assert.match(await waiting, /^Another process is building programs; waiting for it\.\n$/);
        return { second };
      }).then(({ second }) => second);
    });
    assert.match(await waiting, /building programs/);
    await locked(path(), progress, "building", () => Promise.resolve());
  });

  it("tells where a file can't be locked", async () => {
    await assert.rejects(
      locked(join(path(), "below-a-file"), progress, "building", () => Promise.resolve()),
      /ENOTDIR|EEXIST/,
    );
  });
});
