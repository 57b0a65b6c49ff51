import assert from "node:assert/strict";
import fc from "fast-check";
import { type Cluster, type Labels, type NetworkPolicy, type Pod } from "../../../lab/src/policies/objects.ts";
import { type Rule, type RuleSet, ruleSetOf } from "../../../lab/src/policies/rules.ts";
import { chainsScript, setsScript } from "../../../lab/src/policies/scripts.ts";

const node = "10.213.0.1";
const range = "10.213.0.0/16";

interface PodArgs {
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly ip?: string;
  readonly ports?: Readonly<Record<string, number>>;
  readonly rest?: Partial<Pod["spec"]>;
  readonly phase?: string;
}

function pod(
  name: string,
  { namespace = "shop", labels = {}, ip, ports = {}, rest = {}, phase = "Running" }: PodArgs,
): Pod {
  const named = Object.entries(ports).map(([port, containerPort]) => ({ name: port, containerPort }));
  return {
    metadata: { name, namespace, labels },
    spec: { containers: [{ ports: named }], ...rest },
    status: { phase, ...(ip === undefined ? {} : { podIP: ip }) },
  };
}

const policy = (spec: NetworkPolicy["spec"], namespace = "shop"): NetworkPolicy => ({
  metadata: { name: "policy", namespace },
  spec,
});

const web = pod("web", { labels: { app: "web" }, ip: "10.213.0.10", ports: { http: 8080 } });
const store = pod("store", { labels: { app: "store", tier: "data" }, ip: "10.213.0.11", ports: { http: 9090 } });
const guest = pod("guest", { namespace: "other", labels: { app: "web" }, ip: "10.213.0.12", ports: { http: 7070 } });
const namespaces = [
  { metadata: { name: "shop", labels: { team: "shop" } } },
  { metadata: { name: "other", labels: { team: "guests" } } },
];
const world = "93.184.216.34";

const cluster = (...policies: readonly NetworkPolicy[]): Cluster => ({
  policies,
  pods: [web, store, guest],
  namespaces,
  attachments: [],
});

interface Packet {
  readonly from: string;
  readonly to: string;
  readonly protocol?: string;
  readonly port?: number;
}

const numberOf = (address: string): number => address.split(".").reduce((total, part) => total * 256 + Number(part), 0);

function inRange(address: string, cidr: string): boolean {
  const [base = "", bits = "32"] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(address) / size) === Math.floor(numberOf(base) / size);
}

/** Reads a rule set as the kernel does. */
function passes(rules: RuleSet, { from, to, protocol = "tcp", port = 80 }: Packet): boolean {
  const entries = (name: string): readonly string[] => rules.sets.find((set) => set.name === name)?.entries ?? [];
  const holds = (name: string, address: string): boolean => {
    const ranges = entries(name).filter((entry) => inRange(address, entry.replace(" nomatch", "")));
    const width = (entry: string): number => Number(/\/(\d+)/.exec(entry)?.[1] ?? "32");
    const [longest] = ranges.sort((one, other) => width(other) - width(one));
    return longest !== undefined && !longest.endsWith(" nomatch");
  };
  const allows = (rule: Rule): boolean =>
    (rule.from === undefined || holds(rule.from, from)) &&
    (rule.to === undefined || holds(rule.to, to)) &&
    (rule.toPort === undefined || entries(rule.toPort).includes(`${to},${protocol}:${port}`)) &&
    (rule.protocol === undefined || rule.protocol === protocol) &&
    (rule.ports === undefined || (port >= rule.ports[0] && port <= rule.ports[1]));
  const known = [from, to].every((address) => !inRange(address, range) || holds(rules.known, address));
  const called = !holds(rules.isolated.egress, from) || rules.egress.some(allows);
  return known && called && (!holds(rules.isolated.ingress, to) || rules.ingress.some(allows));
}

interface Case {
  readonly title: string;
  readonly policies: readonly NetworkPolicy[];
  readonly pass: readonly Packet[];
  readonly fail: readonly Packet[];
}

const ip = (of: Pod): string => of.status?.podIP ?? "";
const [w, s, g] = [ip(web), ip(store), ip(guest)];
const everything = { podSelector: {} };
const toStore = { podSelector: { matchLabels: { app: "store" } } };

const cases: readonly Case[] = [
  {
    title: "no policy: everything passes",
    policies: [],
    pass: [
      { from: w, to: s },
      { from: g, to: w },
      { from: w, to: world },
    ],
    fail: [],
  },
  {
    title: "deny both ways, with the other namespace left alone",
    policies: [policy({ ...everything, policyTypes: ["Ingress", "Egress"] })],
    pass: [
      { from: g, to: world },
      { from: world, to: g },
    ],
    fail: [
      { from: w, to: s },
      { from: g, to: s },
      { from: w, to: g },
      { from: w, to: world },
      { from: w, to: node },
      { from: w, to: s, protocol: "icmp" },
    ],
  },
  {
    title: "without types: ingress alone",
    policies: [policy(everything)],
    pass: [
      { from: w, to: world },
      { from: w, to: g },
    ],
    fail: [
      { from: world, to: w },
      { from: w, to: s },
    ],
  },
  {
    title: "without types but with egress: both",
    policies: [policy({ ...everything, egress: [{}] })],
    pass: [{ from: w, to: world }],
    fail: [{ from: world, to: w }],
  },
  {
    title: "pods of the same namespace, by a port",
    policies: [
      policy({
        ...toStore,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: 80 }] }],
      }),
    ],
    pass: [
      { from: w, to: s },
      { from: s, to: w },
    ],
    fail: [
      { from: w, to: s, port: 81 },
      { from: w, to: s, protocol: "udp" },
      { from: g, to: s },
      { from: world, to: s },
    ],
  },
  {
    title: "a namespace by its labels, and pods in it by theirs",
    policies: [
      policy({
        ...toStore,
        ingress: [
          {
            from: [
              { namespaceSelector: { matchLabels: { team: "guests" } }, podSelector: { matchLabels: { app: "web" } } },
            ],
          },
        ],
      }),
    ],
    pass: [
      { from: g, to: s, protocol: "udp" },
      { from: g, to: s, protocol: "icmp" },
    ],
    fail: [{ from: w, to: s }],
  },
  {
    title: "an empty namespace selector: the pods of all namespaces, and nobody outside",
    policies: [policy({ ...toStore, ingress: [{ from: [{ namespaceSelector: {} }] }] })],
    pass: [
      { from: g, to: s },
      { from: w, to: s },
    ],
    fail: [
      { from: world, to: s },
      { from: node, to: s },
    ],
  },
  {
    title: "several peers and rules: any of them is enough",
    policies: [
      policy({
        ...toStore,
        ingress: [
          {
            from: [
              { podSelector: { matchLabels: { app: "none" } } },
              { namespaceSelector: { matchLabels: { team: "guests" } } },
            ],
          },
        ],
      }),
      policy({ ...toStore, ingress: [{ ports: [{ port: 443 }] }] }),
    ],
    pass: [
      { from: g, to: s },
      { from: w, to: s, port: 443 },
      { from: world, to: s, port: 443 },
    ],
    fail: [{ from: w, to: s }],
  },
  {
    title: "a block with exceptions",
    policies: [
      policy({
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [{ to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "93.0.0.0/16"] } }] }],
      }),
    ],
    pass: [
      { from: w, to: world },
      { from: w, to: "200.1.1.1" },
    ],
    fail: [
      { from: w, to: s },
      { from: w, to: node },
      { from: w, to: "93.0.1.2" },
    ],
  },
  {
    title: "two blocks: the exception of one is not that of the other",
    policies: [
      policy({
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [
          {
            to: [
              { ipBlock: { cidr: "93.0.0.0/8", except: ["93.184.0.0/16"] } },
              { ipBlock: { cidr: "93.184.216.0/24" } },
            ],
          },
        ],
      }),
    ],
    pass: [
      { from: w, to: world },
      { from: w, to: "93.1.1.1" },
    ],
    fail: [{ from: w, to: "93.184.0.1" }],
  },
  {
    title: "a block that is excepted as a whole: nobody",
    policies: [
      policy({
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [{ to: [{ ipBlock: { cidr: "93.0.0.0/8", except: ["93.0.0.0/8"] } }] }],
      }),
    ],
    pass: [],
    fail: [{ from: w, to: world }],
  },
  {
    title: "an IPv6 block: no pod has such an address",
    policies: [policy({ podSelector: {}, policyTypes: ["Egress"], egress: [{ to: [{ ipBlock: { cidr: "::/0" } }] }] })],
    pass: [],
    fail: [{ from: w, to: world }],
  },
  {
    title: "a named port, another in each pod that is called",
    policies: [policy({ podSelector: {}, policyTypes: ["Ingress"], ingress: [{ ports: [{ port: "http" }] }] })],
    pass: [
      { from: g, to: w, port: 8080 },
      { from: g, to: s, port: 9090 },
    ],
    fail: [
      { from: g, to: w, port: 9090 },
      { from: g, to: s, port: 8080 },
    ],
  },
  {
    title: "a named port of those who are called by egress",
    policies: [
      policy({
        podSelector: { matchLabels: { app: "web" } },
        policyTypes: ["Egress"],
        egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: "http" }] }],
      }),
    ],
    pass: [
      { from: w, to: s, port: 9090 },
      { from: w, to: g, port: 7070 },
    ],
    fail: [
      { from: w, to: s, port: 7070 },
      { from: w, to: world, port: 7070 },
    ],
  },
  {
    title: "a named port that nobody has: nothing",
    policies: [policy({ ...toStore, ingress: [{ ports: [{ port: "https" }] }] })],
    pass: [],
    fail: [{ from: w, to: s, port: 9090 }],
  },
  {
    title: "a range of ports",
    policies: [policy({ ...toStore, ingress: [{ ports: [{ port: 8000, endPort: 8010, protocol: "UDP" }] }] })],
    pass: [
      { from: w, to: s, port: 8000, protocol: "udp" },
      { from: w, to: s, port: 8010, protocol: "udp" },
    ],
    fail: [
      { from: w, to: s, port: 7999, protocol: "udp" },
      { from: w, to: s, port: 8011, protocol: "udp" },
      { from: w, to: s, port: 8005 },
    ],
  },
  {
    title: "a protocol without a port",
    policies: [policy({ ...toStore, ingress: [{ ports: [{ protocol: "UDP" }] }] })],
    pass: [{ from: w, to: s, port: 53, protocol: "udp" }],
    fail: [{ from: w, to: s, port: 53 }],
  },
  {
    title: "both ends must agree",
    policies: [
      policy({ podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Egress"], egress: [{ to: [toStore] }] }),
      policy({
        ...toStore,
        ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: 80 }] }],
      }),
    ],
    pass: [{ from: w, to: s }],
    fail: [
      { from: w, to: s, port: 81 },
      { from: w, to: g },
    ],
  },
];

describe("the rules of network policies", () => {
  for (const { title, policies, pass, fail } of cases) {
    it(title, () => {
      const rules = ruleSetOf(cluster(...policies), [node]);
      for (const packet of pass) assert.ok(passes(rules, packet), `should pass: ${JSON.stringify(packet)}`);
      for (const packet of fail) assert.ok(!passes(rules, packet), `should fail: ${JSON.stringify(packet)}`);
    });
  }

  it("let nothing to or from a pod that isn't known yet, and forget one that ended", () => {
    const rules = ruleSetOf(
      {
        policies: [],
        namespaces,
        attachments: [],
        pods: [web, pod("new", {}), pod("done", { ip: s, phase: "Succeeded" })],
      },
      [node],
    );
    assert.ok(passes(rules, { from: w, to: node }));
    assert.ok(!passes(rules, { from: w, to: s }));
    assert.ok(!passes(rules, { from: s, to: world }));
  });

  it("know a pod by what the container runtime says of it before the API server does, and no other by that address", () => {
    const fresh = pod("fresh", { labels: { app: "store" } });
    const before = pod("before", { ip: "10.213.0.20" });
    const attachment = { id: "1", address: "10.213.0.20", namespace: "shop", name: "fresh" };
    const found = { ...cluster(policy(toStore)), pods: [web, fresh, before], attachments: [attachment] };
    assert.ok(!passes(ruleSetOf(found, [node]), { from: w, to: attachment.address }), "it is isolated");
    assert.ok(
      passes(ruleSetOf({ ...found, policies: [] }, [node]), { from: w, to: attachment.address }),
      "it is known",
    );
    const stranger = { ...attachment, name: "gone" };
    assert.ok(!passes(ruleSetOf({ ...found, attachments: [stranger] }, [node]), { from: w, to: stranger.address }));
  });

  it("leave pods of the node's own network to the node", () => {
    const onNode = pod("agent", { ip: node, labels: { app: "store" }, rest: { hostNetwork: true } });
    const rules = ruleSetOf({ ...cluster(policy(toStore)), pods: [web, onNode] }, [node]);
    assert.ok(passes(rules, { from: w, to: node }));
  });

  it("are the same whatever the order of pods and policies, so that nothing is done twice", () => {
    const policies = cases.flatMap((one) => one.policies);
    const pods = [...cluster().pods];
    const text = (of: Cluster): string => {
      const rules = ruleSetOf(of, [node]);
      return setsScript(rules.sets) + chainsScript(rules, range);
    };
    const expected = text({ policies, pods, namespaces, attachments: [] });
    fc.assert(
      fc.property(
        fc.shuffledSubarray(pods, { minLength: 3 }),
        fc.shuffledSubarray(policies, { minLength: policies.length }),
        (some, all) => {
          assert.equal(text({ policies: all, pods: some, namespaces, attachments: [] }), expected);
        },
      ),
      { numRuns: 20 },
    );
  });
});
