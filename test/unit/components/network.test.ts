import assert from "node:assert/strict";
import fc from "fast-check";
import { type Endpoint, type FlowArgs, flowsOf } from "../../../bin/components/network/flows.js";
import { Isolation } from "../../../bin/components/network/isolation.js";
import { policySpec, privateRanges } from "../../../bin/components/network/policies.js";
import { type Part, parts } from "../../../bin/components/parts.js";
import { run } from "../../graph/mock-engine.ts";

const args: FlowArgs = {
  parts,
  database: "pods",
  ingressNamespaces: ["ingress"],
  application: { namespace: "shop", labels: { app: "shop" }, port: 8080 },
  gateways: [
    { host: "api.gateway.example.com", port: 443, cidrs: [] },
    { host: "known.example.com", port: 8443, cidrs: ["203.0.113.0/24"] },
    { host: "inside", port: 443, cidrs: [], namespace: "payments" },
  ],
  dns: { namespace: "kube-system", labels: { "k8s-app": "kube-dns" } },
  apiServer: { cidrs: ["10.0.0.1/32"], port: 6443 },
  vault: { cidrs: ["10.0.1.0/28"], labels: {}, port: 8200 },
  prometheus: { namespace: "monitoring", labels: { app: "prometheus" } },
};

/** A peer as the policies can be asked for it: an endpoint's name, or a part. */
const named = (end: Endpoint): string => (end.kind === "part" ? end.part : end.name);

/** The flows as lines, `from → to ports`. */
function lines(given: FlowArgs): string[] {
  return flowsOf(given).map(
    ({ from, to, ports }) => `${named(from)} → ${named(to)} ${ports.map(({ port }) => port).join(",")}`,
  );
}

describe("the table of flows", () => {
  it("lets card numbers in through the inbound proxy alone", () => {
    const to8080 = lines(args).filter((line) => line.endsWith("→ tokenizer 8080"));
    assert.deepEqual(to8080, ["inbound → tokenizer 8080"]);
  });

  it("lets nobody but the egress proxy reach a payment gateway", () => {
    const gateways = ["api.gateway.example.com", "known.example.com", "inside"];
    const callers = flowsOf(args).filter(({ to }) => gateways.includes(named(to)));
    assert.deepEqual([...new Set(callers.map(({ from }) => named(from)))], ["outbound"]);
    assert.equal(callers.length, 3);
  });

  it("lets only the tokenizer, backups, rotations and members reach the database", () => {
    const callers = flowsOf(args).filter(({ to, ports }) => named(to) === "database" && ports[0]?.port === 3306);
    assert.deepEqual(
      callers.map(({ from }) => named(from)),
      ["tokenizer", "backup", "rotator", "database"],
    );
  });

  it("keeps the management port to the dashboard, rotations and Prometheus", () => {
    const callers = lines(args).filter((line) => line.endsWith("→ tokenizer 8090"));
    assert.deepEqual(callers, [
      "dashboard → tokenizer 8090",
      "rotator → tokenizer 8090",
      "prometheus → tokenizer 8090",
    ]);
  });

  it("asks DNS by UDP and by TCP, for every part", () => {
    const dns = flowsOf(args).filter(({ to }) => named(to) === "dns");
    assert.deepEqual(dns.map(({ from }) => named(from)).sort(), [...parts].sort());
    for (const { ports } of dns) assert.deepEqual(ports.map(({ protocol }) => protocol).sort(), ["TCP", "UDP"]);
  });

  it("leads to the address of a database outside the cluster, and to no pod", () => {
    const outside = { ...args, parts: parts.filter((part) => part !== "database") };
    const flows = lines({ ...outside, database: { cidrs: ["10.9.0.0/24"], port: 3307 } });
    assert.ok(flows.includes("tokenizer → database server 3307"));
    assert.ok(flows.every((line) => !/(→ |^)database \d/.test(line)));
  });

  it("names no part that the tenant doesn't have", () => {
    fc.assert(
      fc.property(fc.subarray([...parts]), (present) => {
        const ends = flowsOf({ ...args, parts: present }).flatMap(({ from, to }) => [from, to]);
        for (const end of ends) if (end.kind === "part") assert.ok(present.includes(end.part));
      }),
    );
  });
});

describe("the policies of a tenant", () => {
  const flows = flowsOf(args);

  it("allow each flow at both of its ends, and nothing that is in no flow", () => {
    const allowed = parts.flatMap((part) => {
      const { ingress, egress } = policySpec(part, flows) as Record<"ingress" | "egress", readonly unknown[]>;
      return [ingress.length, egress.length];
    });
    const ends = flows.flatMap(({ from, to }) => [from, to]).filter(({ kind }) => kind === "part");
    assert.equal(
      allowed.reduce((sum, count) => sum + count, 0),
      ends.length,
    );
  });

  it("never leave a peer or a port open", () => {
    for (const part of parts) {
      const { ingress, egress } = policySpec(part, flows) as Record<"ingress" | "egress", readonly Rule[]>;
      for (const { from, to, ports } of [...ingress, ...egress]) {
        assert.ok((from ?? to ?? []).length > 0);
        assert.ok(ports.length > 0);
        for (const peer of from ?? to ?? []) assert.ok(Object.keys(peer).length > 0);
      }
    }
  });

  it("keep a gateway at any public address from leading to private ones and to the cloud's metadata", () => {
    const { egress } = policySpec("outbound", flows) as { egress: readonly Rule[] };
    const world = egress.flatMap(({ to }) => to ?? []).filter(({ ipBlock }) => ipBlock?.cidr === "0.0.0.0/0");
    assert.deepEqual(world, [{ ipBlock: { cidr: "0.0.0.0/0", except: [...privateRanges] } }]);
    assert.ok(privateRanges.includes("169.254.0.0/16"));
  });
});

interface Rule {
  readonly from?: readonly { readonly ipBlock?: { readonly cidr: string } }[];
  readonly to?: readonly { readonly ipBlock?: { readonly cidr: string } }[];
  readonly ports: readonly unknown[];
}

describe("Isolation", () => {
  const labels = { environment: "lab", tenant: "acme", tags: {} };

  it("denies everything by default, both ways, to every pod", async () => {
    const { graph } = await run(() => new Isolation("acme-network", { namespace: "acme", flows: args, labels }));
    const deny = graph.find(({ name }) => name === "acme-network-deny");
    assert.deepEqual(deny?.inputs["spec"], { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    assert.equal(graph.length, parts.length + 2);
  });

  it("refuses a part that is named twice", async () => {
    const twice: readonly Part[] = ["tokenizer", "tokenizer"];
    await assert.rejects(
      run(() => new Isolation("acme-network", { namespace: "acme", flows: { ...args, parts: twice }, labels })),
      (error: { errors?: unknown }) => {
        assert.deepEqual(error.errors, [
          { propertyPath: "flows.parts[1]", reason: "expected each part once, given tokenizer again" },
        ]);
        return true;
      },
    );
  });
});
