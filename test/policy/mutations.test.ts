import assert from "node:assert/strict";
import { evaluate } from "../../policy/src/model/evaluate.ts";
import { breaks } from "./support/breaks.ts";
import { extraResources } from "./support/extras.ts";
import { circumstances, goldenStack, reference, rules } from "./support/reference.ts";

describe("production's plan, broken in every way that is known", () => {
  const golden = goldenStack("production", reference.secretsProvider);
  const own = new Set(golden.resources.map(({ type, name }) => `${type}::${name}`));

  it("has no finding as it is", () => {
    const found = evaluate(rules, reference, circumstances).filter(({ exemption }) => exemption === undefined);
    assert.deepEqual(found, []);
  });

  it(`is broken in ${breaks.length} ways, and each is found by the rule that it is about`, () => {
    const missed = breaks.filter(({ rule, on, at, says, apply }) => {
      const named = rules.find(({ name }) => name === rule);
      if (named === undefined) throw new Error(`there is no rule ${rule}`);
      return !evaluate([named], apply(reference), circumstances).some(
        ({ kind, urn, path, message, exemption }) =>
          kind === "violation" &&
          exemption === undefined &&
          urn.endsWith(on.split("::").slice(1).join("::")) &&
          path === at &&
          says.test(message),
      );
    });
    assert.deepEqual(
      missed.map(({ rule, how }) => `${rule}: ${how}`),
      [],
    );
    assert.ok(breaks.length >= 150);
  });

  it("is broken in at least 150 ways by what production's plan itself holds, not counting what tests add to it", () => {
    const ways = new Set(breaks.filter(({ on }) => own.has(on)).map(({ rule, how }) => `${rule}: ${how}`));
    assert.ok(ways.size >= 150, `${ways.size} ways`);
  });

  it("is broken by every rule at least once, in ways that differ from each other", () => {
    const tried = new Set(breaks.map(({ rule }) => rule));
    const untried = rules.map(({ name }) => name).filter((name) => !tried.has(name));
    assert.deepEqual(untried, ["exemptions-are-current"], "which has a test of its own");
    const ways = breaks.map(({ rule, how }) => `${rule} ${how}`);
    assert.equal(new Set(ways).size, ways.length);
  });

  it("is added to only by resources of types that it has none of, or that a break needs", () => {
    const names = extraResources.map(({ type, name }) => `${type}::${name}`);
    assert.equal(new Set([...names, ...own]).size, names.length + own.size);
  });
});
