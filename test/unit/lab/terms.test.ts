import assert from "node:assert/strict";
import { type Row, termsOf, turnsOf } from "../../lab/mysql/terms.ts";

/** Rows of servers in this order, each so many seconds after the one before. */
function rows(...list: readonly (readonly [server: number, after: number])[]): readonly Row[] {
  let at = 1_000;
  return list.map(([server, after], id) => ({ id, server, at: (at += after) }));
}

describe("terms of servers that took writes", () => {
  it("follow the times of the rows, whatever order they were read in", () => {
    const terms = termsOf(rows([1, 0], [1, 2], [2, 3], [2, 4]).toReversed());
    assert.deepEqual(
      terms.map(({ server, rows, seconds }) => [server, rows, seconds]),
      [
        [1, 2, 2],
        [2, 2, 4],
      ],
    );
  });

  it("show two servers that write side by side as one that leads for a moment between two terms of another", () => {
    const turns = turnsOf(termsOf(rows([1, 0], [1, 60], [2, 0.1], [1, 0.1], [2, 0.1], [2, 60])));
    assert.deepEqual(
      turns.map(({ server }) => server),
      [2, 1],
    );
  });

  it("don't take a server for that which led for a moment until it was killed, too, or one that led for a while", () => {
    assert.deepEqual(turnsOf(termsOf(rows([1, 0], [1, 60], [2, 0.5], [2, 0.2], [3, 15]))), []);
    assert.deepEqual(turnsOf(termsOf(rows([1, 0], [2, 5], [2, 5], [1, 5]))), []);
    assert.deepEqual(turnsOf(termsOf(rows([1, 0], [2, 0.1]))), []);
  });
});
