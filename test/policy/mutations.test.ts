import assert from "node:assert/strict";
import { evaluate } from "../../policy/src/model/evaluate.ts";
import { breaks } from "./support/breaks.ts";
import { extraResources } from "./support/extras.ts";
import { circumstances, goldenStack, reference, rules } from "./support/reference.ts";

/** The rules that nothing in production's plan can break, each with what it has none of. */
const absent: Readonly<Record<string, string>> = {
  "certificates-are-inventoried": "certificates of cert-manager: `vault agent` gets its certificates itself",
  "cloud-firewalls-are-narrow": "security groups: the stack names those of its owner",
  "controls-raise-alerts": "a resource to blame: it blames the stack, which a golden plan leaves out",
  "exemptions-are-current": "a resource to blame: it is about a file",
  "generated-values-stay-hidden": "types that hold their value openly: each of them is added",
  "ingresses-use-tls": "Ingresses: clients come by a Service",
  "logs-are-kept": "log groups: the sinks of logs are their owner's",
  "outputs-hold-no-secrets": "outputs: a golden plan leaves the stack itself out",
  "state-is-kept-by-a-key-service": "its settings file: a plan doesn't hold it",
  "stores-are-not-published": "routes from outside: clients come by a Service",
  "volumes-are-encrypted": "StorageClasses: cards are in Aurora",
};

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

  it("is itself broken by every rule but those about what it has none of", () => {
    const biting = new Set(breaks.filter(({ on }) => own.has(on)).map(({ rule }) => rule));
    const others = rules.map(({ name }) => name).filter((name) => !biting.has(name));
    assert.deepEqual(others.sort(), Object.keys(absent).sort());
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
