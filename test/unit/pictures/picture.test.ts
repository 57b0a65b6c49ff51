import assert from "node:assert/strict";
import { figure, lines } from "../../../bin/components/monitoring/dashboards/panels.js";
import { lineName, picture } from "../../pictures/picture.ts";
import { marks, written } from "../../pictures/units.ts";

const query = { expr: "up", legend: "{{pod}}" };
const span = { start: 0, end: 600 };

describe("pictures of dashboards", () => {
  it("write values with the units of their panels", () => {
    const cases = [
      [0.0123, "s", "12.3 ms"],
      [90, "s", "90 s"],
      [604_800, "s", "7 d"],
      [0.9995, "percentunit", "99.95 %"],
      [1250, "reqps", "1.25k/s"],
      [3, "short", "3"],
      [Number.NaN, "short", "–"],
    ] as const;
    for (const [value, unit, text] of cases) assert.equal(written(value, unit), text);
  });

  it("mark axes at round numbers from zero to above the highest value", () => {
    assert.deepEqual(marks(0, 0.93), [0, 0.25, 0.5, 0.75, 1]);
    assert.deepEqual(marks(0, 0), [0, 0.25, 0.5, 0.75, 1]);
    assert.deepEqual(marks(-3, 7), [-5, -2.5, 0, 2.5, 5, 7.5]);
  });

  it("draw a panel of lines with its legend, and break a line where values are missing", () => {
    const points = [
      [0, 1],
      [60, 2],
      [300, 3],
      [360, Number.NaN],
    ] as const;
    const panel = { plan: lines("Requests", "reqps", "", query), lines: [{ name: "a<b", points }] };
    const svg = picture({ title: "Overview" }, [panel], span);
    const [, path = ""] = /<path d="(M[^"]+)" fill="none"/.exec(svg) ?? [];
    assert.equal(path.match(/M/g)?.length, 2, path);
    assert.equal(path.match(/L/g)?.length, 1, path);
    assert.ok(svg.includes("a&lt;b"));
    assert.ok(!svg.includes("NaN"));
  });

  it("show the last value of figures, and say where there is nothing", () => {
    const points = [
      [0, 1],
      [60, 0.5],
    ] as const;
    const some = { plan: figure("Availability", "percentunit", "", query), lines: [{ name: "acme", points }] };
    const none = { plan: figure("Targets Down", "short", "", query), lines: [] };
    const svg = picture({ title: "Overview" }, [some, none], span);
    assert.ok(svg.includes(">50 %<"));
    assert.ok(svg.includes("no series"));
  });

  it("name lines by the labels of the legend", () => {
    assert.equal(lineName("{{tenant}} {{code}}", { tenant: "acme", code: "2xx" }), "acme 2xx");
    assert.equal(lineName("{{tenant}} 1h", {}), "1h");
  });
});
