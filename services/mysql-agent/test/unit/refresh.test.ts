import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { FilesRefresh } from "../../src/refresh.ts";

describe("secrets that are to be read anew", () => {
  const stop = new AbortController();
  after(() => {
    stop.abort();
  });

  /** Files that change with the kubelet's `at`-th look; `refused` lets the API server refuse those looks. */
  function pod(
    at: number,
    refused: readonly number[] = [],
  ): { looks: number[]; failures: unknown[]; files: FilesRefresh } {
    const looks: number[] = [];
    const failures: unknown[] = [];
    let time = 0;
    const files = new FilesRefresh({
      publish: () => {
        looks.push(time);
        return refused.includes(looks.length) ? Promise.reject(new Error("refused")) : Promise.resolve();
      },
      contents: () => (looks.length >= at ? "new" : "old"),
      pause: 1,
      limit: 10,
      failed: (error) => failures.push(error),
      clock: () => (time += 1),
      stop: stop.signal,
    });
    return { looks, failures, files };
  }

  it("are asked for until they have changed", async () => {
    const { looks, files } = pod(3);
    await files.ask();
    await sleep(60);
    assert.equal(looks.length, 3);
  });

  it("are asked for once where the driver reads them at once", async () => {
    const { looks, files } = pod(1);
    await files.ask();
    await sleep(60);
    assert.equal(looks.length, 1);
  });

  it("are left to the driver's own time after a while", async () => {
    const { looks, files } = pod(1_000);
    await files.ask();
    await sleep(100);
    const { length } = looks;
    assert.ok(length > 3 && length <= 11, `${length}`);
    await sleep(60);
    assert.equal(looks.length, length);
  });

  it("are asked for again where the API server refused once; who asks is told of a first refusal", async () => {
    const later = pod(4, [2]);
    await later.files.ask();
    await sleep(60);
    assert.deepEqual([later.looks.length, later.failures.length], [4, 1]);
    await assert.rejects(pod(2, [1]).files.ask(), /refused/);
  });

  it("have one row of looks, however often they are asked for", async () => {
    const { looks, files } = pod(6);
    await Promise.all([files.ask(), files.ask(), files.ask()]);
    await sleep(60);
    assert.equal(looks.length, 6);
  });
});
