import assert from "node:assert/strict";
import { type Labels, type Pod, selects } from "../../../lab/src/policies/objects.ts";
import { ruleSetOf } from "../../../lab/src/policies/rules.ts";
import { chains, chainsScript, closedScript, setsScript } from "../../../lab/src/policies/scripts.ts";

describe("label selectors", () => {
  const table: readonly (readonly [operator: string, values: readonly string[], labels: Labels, expected: boolean])[] =
    [
      ["In", ["a", "b"], { key: "b" }, true],
      ["In", ["a"], { key: "b" }, false],
      ["In", ["a"], {}, false],
      ["NotIn", ["a"], { key: "b" }, true],
      ["NotIn", ["a"], { key: "a" }, false],
      ["NotIn", ["a"], {}, true],
      ["Exists", [], { key: "" }, true],
      ["Exists", [], {}, false],
      ["DoesNotExist", [], {}, true],
      ["DoesNotExist", [], { key: "" }, false],
    ];
  for (const [operator, values, labels, expected] of table) {
    it(`${operator} ${values.join(", ")} ${expected ? "takes" : "leaves"} ${JSON.stringify(labels)}`, () => {
      assert.equal(selects({ matchExpressions: [{ key: "key", operator, values }] }, labels), expected);
    });
  }

  it("need every label and every expression", () => {
    const selector = { matchLabels: { a: "1" }, matchExpressions: [{ key: "b", operator: "Exists" }] };
    assert.ok(selects(selector, { a: "1", b: "" }));
    assert.ok(!selects(selector, { a: "1" }));
    assert.ok(!selects(selector, { b: "" }));
    assert.throws(() => selects({ matchExpressions: [{ key: "a", operator: "Like" }] }, {}), /operator Like/);
  });
});

describe("what the kernel is told", () => {
  const named = (containerPort: number): object => ({ ports: [{ name: "http", containerPort }] });
  // Of init containers only those that go on beside the others serve.
  const initContainers = [{ ...named(1111), restartPolicy: "Always" }, named(2222)];
  const store: Pod = {
    metadata: { name: "store", namespace: "shop" },
    spec: { containers: [named(9090)], initContainers },
    status: { phase: "Running", podIP: "10.213.0.11" },
  };
  const world = { ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] } };
  const spec = { ingress: [{ from: [world], ports: [{ port: 80, endPort: 90 }, { port: "http" }] }] };
  const policies = [{ metadata: { name: "policy", namespace: "shop" }, spec }];
  const namespaces = [{ metadata: { name: "shop" } }];
  const rules = ruleSetOf({ policies, pods: [store], namespaces, attachments: [] }, ["10.213.0.1"]);
  const range = "10.213.0.0/16";

  it("is sets by their content, and the chains at once", () => {
    const sets = setsScript(rules.sets);
    for (const line of sets.trim().split("\n"))
      assert.match(
        line,
        /^(create tsl-[0-9a-f]{24} hash:(ip|net|ip,port) family inet|add tsl-[0-9a-f]{24} [\d./]+( nomatch|,tcp:(9090|1111))?$)/,
      );
    assert.match(sets, / 0\.0\.0\.0\/1\n.* 10\.0\.0\.0\/8 nomatch\n.* 128\.0\.0\.0\/1\n/);
    assert.match(sets, / 10\.213\.0\.11,tcp:1111\n.* 10\.213\.0\.11,tcp:9090\n/);
    const script = chainsScript(rules, range);
    assert.match(script, /^\*filter\n(:TOKENSHIELD-LAB-\w+ - \[0:0\]\n){3}[^]*\nCOMMIT\n$/);
    assert.match(script, /-p tcp -m tcp --dport 80:90 -j RETURN/);
    assert.match(script, /--match-set \S+ dst,dst -j RETURN/);
    for (const [, name = ""] of script.matchAll(/--match-set (\S+)/g)) {
      assert.ok(
        rules.sets.some((set) => set.name === name),
        name,
      );
    }
  });

  it("lets open connections go on before anything else is asked, and ends each direction by a refusal", () => {
    const lines = chainsScript(rules, range)
      .split("\n")
      .filter((line) => line.startsWith("-A"));
    assert.equal(lines[0], `-A ${chains.entry} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`);
    for (const chain of [chains.egress, chains.ingress]) {
      assert.match(lines.filter((line) => line.startsWith(`-A ${chain} `)).at(-1) ?? "", /-j REJECT/);
    }
  });

  it("is, before any policy is known, that nothing of a pod's passes", () => {
    const lines = closedScript(range)
      .split("\n")
      .filter((line) => line.startsWith("-A"));
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, /^-A TOKENSHIELD-LAB-POLICY -[sd] 10\.213\.0\.0\/16 -j REJECT/);
  });
});
