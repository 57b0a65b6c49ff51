import assert from "node:assert/strict";
import { type Labels, type Pod, selects } from "../../../lab/src/policies/objects.ts";
import { firstScript, policyHooks } from "../../../lab/src/policies/hooks.ts";
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

  it("lets open connections go on, asks of every one that is opened, and ends each direction by a refusal", () => {
    const lines = chainsScript(rules, range)
      .split("\n")
      .filter((line) => line.startsWith("-A"));
    const unasked = lines.filter((line) => line.includes("conntrack"));
    assert.deepEqual(lines.slice(0, unasked.length), unasked);
    assert.equal(unasked[0], `-A ${chains.entry} -p tcp ! --syn -m conntrack --ctstate ESTABLISHED -j RETURN`);
    for (const line of unasked.slice(1)) assert.match(line, /! -p tcp .*--ctdir REPLY|-p icmp .*--ctstate RELATED/);
    for (const chain of [chains.egress, chains.ingress]) {
      assert.match(lines.filter((line) => line.startsWith(`-A ${chain} `)).at(-1) ?? "", /-j REJECT/);
    }
  });

  it("knows no address that two pods claim", () => {
    const pods = ["one", "other"].map((name) => ({ ...store, metadata: { ...store.metadata, name }, status: {} }));
    const attachments = pods.map(({ metadata }, at) => ({ id: `${at}`, address: "10.213.0.20", ...metadata }));
    const known = (claims: typeof attachments): readonly string[] => {
      const { sets, known: name } = ruleSetOf({ policies, pods, namespaces, attachments: claims }, ["10.213.0.1"]);
      return sets.find((set) => set.name === name)?.entries ?? [];
    };
    assert.deepEqual(known(attachments.slice(0, 1)), ["10.213.0.1", "10.213.0.20"]);
    assert.deepEqual(known(attachments), ["10.213.0.1"]);
  });

  it("is, before any policy is known, that nothing of a pod's passes", () => {
    const lines = closedScript(range)
      .split("\n")
      .filter((line) => line.startsWith("-A"));
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, /^-A TOKENSHIELD-LAB-POLICY -[sd] 10\.213\.0\.0\/16 -j REJECT/);
  });

  it("asks the policies before what kube-proxy puts first, which lets every remembered connection pass", () => {
    const [hook] = policyHooks;
    assert.ok(hook !== undefined);
    const own = `-A ${hook.chain} ${hook.rule}`;
    const kube = `-A ${hook.chain} -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD`;
    const listed = (...rules: readonly string[]): string => [`-P ${hook.chain} ACCEPT`, ...rules, ""].join("\n");
    const put = `-I ${hook.chain} 1 ${hook.rule}`;
    const away = `-D ${hook.chain} ${hook.rule}`;
    const lines = (printed: string): readonly string[] => firstScript(hook, printed).split("\n").filter(Boolean);
    assert.deepEqual(lines(listed(own, kube)), []);
    assert.deepEqual(lines(listed(kube, own)), ["*filter", away, put, "COMMIT"]);
    assert.deepEqual(lines(listed(own, kube, own)), ["*filter", away, away, put, "COMMIT"]);
    assert.deepEqual(lines(listed(kube)), ["*filter", put, "COMMIT"]);
  });
});
