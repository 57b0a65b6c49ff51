import assert from "node:assert/strict";
import fc from "fast-check";
import { GroupError, GtidSet } from "@tokenshield/mysql";

const a = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const b = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

/** Sets over two sources and a tag, as text and as plain numbers. */
const sets = fc
  .uniqueArray(fc.tuple(fc.constantFrom(a, b, `${a}:blue`), fc.integer({ min: 1, max: 12 })), {
    selector: ([source, number]) => `${source}:${number}`,
  })
  .map((pairs) => ({
    plain: new Set(pairs.map(([source, number]) => `${source}:${number}`)),
    set: GtidSet.parse(pairs.map(([source, number]) => `${source}:${number}`).join(",")),
  }));

describe("GTID sets", () => {
  it("are read as MySQL writes them, with newlines, single numbers and tags", () => {
    const set = GtidSet.parse(`${a}:1-5:7:blue:2-3,\n${b}:11`);
    assert.equal(set.size, 9n);
    assert.equal(set.toString(), `${a}:1-5:7,${a}:blue:2-3,${b}:11`);
    assert.ok(GtidSet.parse("").isEmpty);
  });

  it("join runs that touch or overlap", () => {
    assert.equal(GtidSet.parse(`${a}:4-6:1-3:5-9`).toString(), `${a}:1-9`);
  });

  for (const text of ["nonsense", a, `${a}:0`, `${a}:5-2`, `${a}:1-`, `${a}:1-2:UPPER CASE`]) {
    it(`refuse "${text.slice(-14)}"`, () => {
      assert.throws(
        () => GtidSet.parse(text),
        (error) => error instanceof GroupError && error.code === "GTID_SYNTAX",
      );
    });
  }

  it("tell inclusion where counts would mislead", () => {
    const many = GtidSet.parse(`${a}:1-100`);
    const few = GtidSet.parse(`${a}:1-10,${b}:1`);
    assert.ok(few.size < many.size);
    assert.equal(many.includes(few), false);
    assert.equal(few.includes(many), false);
  });

  it("agree with plain sets in union, difference, inclusion and size", () => {
    fc.assert(
      fc.property(sets, sets, (one, other) => {
        assert.equal(one.set.size, BigInt(one.plain.size));
        assert.equal(one.set.union(other.set).size, BigInt(new Set([...one.plain, ...other.plain]).size));
        assert.equal(
          one.set.minus(other.set).size,
          BigInt([...one.plain].filter((each) => !other.plain.has(each)).length),
        );
        assert.equal(
          one.set.includes(other.set),
          [...other.plain].every((each) => one.plain.has(each)),
        );
        assert.equal(GtidSet.parse(one.set.toString()).toString(), one.set.toString());
      }),
    );
  });
});
