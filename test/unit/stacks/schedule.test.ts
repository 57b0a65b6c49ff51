import assert from "node:assert/strict";
import { longestPauseHours } from "../../../bin/stacks/schedule.js";
import { isCron } from "../../../bin/stacks/formats.js";

describe("the longest pause of a schedule", () => {
  const day = 24;
  const cases: Readonly<Record<string, number>> = {
    "0 2 * * *": day,
    "* * * * *": 1 / 60,
    "*/15 * * * *": 0.25,
    "7/20 * * * *": 20 / 60,
    "0 */6 * * *": 6,
    "0 1,13 * * *": 12,
    "30 1,4 * * *": 21,
    "0 8-18/2 * * *": 14,
    "0 2 * * 0": 7 * day,
    "0 2 * * 7": 7 * day,
    "0 2 * * 1-5": 3 * day,
    "0 2 1 * *": 31 * day,
    "0 2 31 * *": 61 * day,
    "0 2 1 1 *": 366 * day,
    "0 0 29 2 *": (3 * 365 + 366) * day,
  };
  for (const [schedule, hours] of Object.entries(cases)) {
    it(`of ${schedule} is ${hours.toFixed(2)} h`, () => {
      assert.ok(isCron(schedule));
      assert.equal(longestPauseHours(schedule).toFixed(6), hours.toFixed(6));
    });
  }

  it("is that of the date or the weekday where both are asked for", () => {
    assert.equal(longestPauseHours("0 2 1 * 1"), 7 * day);
  });

  it("has no end where the date never comes", () => {
    assert.equal(longestPauseHours("0 0 30 2 *"), Infinity);
  });
});
