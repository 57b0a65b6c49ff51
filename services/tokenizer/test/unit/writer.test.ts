import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { type BatchOptions, BatchWriter } from "../../src/cards/index.ts";
import { StoreUnavailable } from "../../src/core/errors.ts";

describe("the writer of batches", () => {
  const never = 3_600_000;
  let batches: (readonly number[])[];
  let endings: (() => void)[];

  const writer = (options: Partial<BatchOptions>): BatchWriter<number, number> =>
    new BatchWriter(async (inputs: readonly number[]) => {
      batches.push(inputs);
      await new Promise<void>((resolve) => endings.push(resolve));
      return inputs.map((input) => -input);
    }, options);

  /** Lets the batch end that is being written, and what follows from that happen. */
  async function end(): Promise<void> {
    endings.shift()?.();
    for (let count = 0; count < 3; count++) await turn();
  }

  beforeEach(() => {
    batches = [];
    endings = [];
  });

  it("keeps an input that comes alone waiting for nobody", async () => {
    const own = writer({ window: never });
    for (const input of [1, 2, 3]) {
      const output = own.add(input, 1);
      await turn();
      await turn();
      await end();
      assert.equal(await output, -input);
    }
    assert.deepEqual(batches, [[1], [2], [3]]);
  });

  it("gathers what comes while a batch is written, and then waits for most of the callers that it has answered", async () => {
    const own = writer({ window: never });
    const outputs = [1, 2, 3, 4].map((input) => own.add(input, 1));
    await turn();
    await turn();
    outputs.push(own.add(5, 1));
    await end();
    // Five are expected now: four were answered, one waits.
    assert.deepEqual(batches, [[1, 2, 3, 4]]);
    outputs.push(own.add(6, 1), own.add(7, 1));
    await turn();
    assert.equal(batches.length, 1, "three of five are not enough");
    outputs.push(own.add(8, 1));
    await turn();
    await turn();
    assert.deepEqual(batches[1], [5, 6, 7, 8]);
    await end();
    assert.deepEqual(await Promise.all(outputs), [-1, -2, -3, -4, -5, -6, -7, -8]);
  });

  it("waits for callers that do not come no longer than its window", async () => {
    const own = writer({ window: 1 });
    const first = [1, 2, 3, 4].map((input) => own.add(input, 1));
    await turn();
    await turn();
    await end();
    await Promise.all(first);
    const last = own.add(5, 1);
    while (endings.length === 0) await turn();
    await end();
    assert.equal(await last, -5);
    assert.deepEqual(batches[1], [5]);
  });

  it("begins a full batch however many it expects, and refuses what would wait too long", async () => {
    const own = writer({ window: never, mostRows: 10, mostWaiting: 6 });
    const first = [1, 2, 3, 4, 5, 6].map((input) => own.add(input, 1));
    await assert.rejects(own.add(0, 1), StoreUnavailable);
    await turn();
    await turn();
    await end();
    await Promise.all(first);
    const large = own.add(7, 10);
    await turn();
    await turn();
    await end();
    assert.equal(await large, -7);
  });
});
