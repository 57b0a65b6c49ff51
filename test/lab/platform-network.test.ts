import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { flowsOf } from "../../bin/components/network/flows.js";
import { tenantFlows } from "../../bin/components/network/tenant-flows.js";
import { type Part, ports, roleLabel } from "../../bin/components/parts.js";
import { partsOf } from "../../bin/components/tenant-parts.js";
import { parseSettings } from "../../bin/stacks/settings.js";
import { rawSettings } from "../graph/stack-files.ts";
import { namespace, usePlatform } from "./support/deploy.ts";
import { apply, attemptLab, eventually, image, kubectl, useLab } from "./support/lab.ts";
import { type Actor, allowed, probe, type Table } from "./support/matrix.ts";
import type { Target } from "./support/probe.ts";
import { holderOf } from "./support/traces.ts";

const settings = parseSettings(rawSettings("lab"));
const [tenant] = settings.tenants;
assert.ok(tenant !== undefined);
const tenantParts = partsOf(settings, tenant);
const table: Table = {
  namespace,
  roleLabel,
  guarded: settings.monitoring.namespace,
  flows: flowsOf(tenantFlows(settings, tenant, tenantParts)),
};

/** Ports that anything of the platform listens on, and one that nothing does. */
const allPorts = [...new Set([...Object.values(ports), 53, 443, 6443, 8000, 8200, 10250, 22222])];
const tried: readonly Omit<Target, "address">[] = [
  ...allPorts.map((port) => ({ port, protocol: "TCP" as const })),
  ...[53, 443].map((port) => ({ port, protocol: "UDP" as const })),
];

/** The node limits how often it says that nobody listens, which over UDP is the only answer that it has. */
const triedAt = ({ name }: Actor): typeof tried =>
  tried.filter(({ protocol }) => name !== "node" || protocol === "TCP");

/** The namespace of Prometheus has policies of its own: of its connections those with the tenant are in the tenant's table. */
const isJudged = (from: Actor, to: Actor): boolean =>
  [from, to].every((one) => one.namespace !== settings.monitoring.namespace) ||
  [from, to].some((one) => one.namespace === namespace);

/** A pod that stands where the platform has none yet, or a stranger. */
function standIn(name: string, within: string, labels: Readonly<Record<string, string>>): unknown {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: within, labels },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "main",
          image: image("busybox"),
          imagePullPolicy: "Never",
          command: ["sleep", "1000000"],
          resources: { requests: { cpu: "1m", memory: "8Mi" }, limits: { cpu: "50m", memory: "16Mi" } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
        },
      ],
    },
  };
}

interface PodList {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly namespace: string;
      readonly uid: string;
      readonly labels?: Record<string, string>;
      readonly ownerReferences?: readonly { readonly kind: string }[];
    };
    readonly status: { readonly podIP?: string; readonly phase: string };
  }[];
}

/** A host of the world outside, beyond the node: a network of its own behind a link. Addresses of RFC 5737. */
const world = { name: "tokenshield-world", address: "198.51.100.2", router: "198.51.100.1" } as const;
const ip = (...words: readonly string[]): void => {
  const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
  assert.equal(status, 0, `ip ${words.join(" ")}: ${stderr}`);
};

function makeWorld(): void {
  removeWorld();
  ip("netns", "add", world.name);
  ip("link", "add", "tsl-world", "type", "veth", "peer", "name", "uplink", "netns", world.name);
  ip("address", "add", `${world.router}/30`, "dev", "tsl-world");
  ip("link", "set", "tsl-world", "up");
  ip("-n", world.name, "address", "add", `${world.address}/30`, "dev", "uplink");
  ip("-n", world.name, "link", "set", "uplink", "up");
  ip("-n", world.name, "route", "add", "default", "via", world.router);
}

function removeWorld(): void {
  spawnSync("ip", ["netns", "delete", world.name]);
  spawnSync("ip", ["link", "delete", "tsl-world"]);
}

/** Standing in: parts that have no pods yet, a stranger beside the tenant's pods, and one elsewhere. */
const standIns = {
  parts: tenantParts.filter((part) => ["dashboard", "backup", "rotator"].includes(part)),
  stranger: { name: "matrix-stranger", namespace },
  passerBy: { name: "matrix-passer-by", namespace: "default" },
} as const;

/** The platform stays up for the suites that follow, the last of which takes it down. */
describe("the network policies on the lab", function () {
  useLab();
  let actors: readonly Actor[] = [];
  const find = (name: string): Actor => actors.find((actor) => actor.name === name) ?? assert.fail(name);

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    makeWorld();
    const { stranger, passerBy } = standIns;
    await apply(
      ...standIns.parts.map((part) => standIn(`matrix-${part}`, namespace, { [roleLabel]: part })),
      standIn(stranger.name, stranger.namespace, { app: "stranger" }),
      standIn(passerBy.name, passerBy.namespace, { app: "passer-by" }),
    );
    const pods = await eventually(
      async () => (JSON.parse(await kubectl("get", "pods", "-A", "-o", "json")) as PodList).items,
      (items) =>
        items
          .filter(({ metadata }) => metadata.name.startsWith("matrix-"))
          .every(({ status }) => status.phase === "Running"),
    );
    const actorOf = (name: string, within: string, labels: Readonly<Record<string, string>>): Actor => {
      const found = pods.find(
        ({ metadata, status }) =>
          metadata.namespace === within &&
          status.phase === "Running" &&
          // A run of the rotator may be over before it is asked.
          metadata.ownerReferences?.some(({ kind }) => kind === "Job") !== true &&
          Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value),
      );
      const pid = holderOf(found?.metadata.uid ?? "none");
      const address = found?.status.podIP;
      assert.ok(found !== undefined && address !== undefined && pid !== undefined, `${name} has a pod that runs`);
      return {
        name,
        address,
        namespace: within,
        labels: found.metadata.labels ?? {},
        enter: ["nsenter", `--net=/proc/${pid}/ns/net`],
      };
    };
    const { application, gateways } = tenant;
    actors = [
      ...tenantParts.map((part: Part) => actorOf(part, namespace, { [roleLabel]: part })),
      actorOf("stranger", namespace, { app: "stranger" }),
      actorOf("passer-by", "default", { app: "passer-by" }),
      actorOf("prometheus", settings.monitoring.namespace, settings.monitoring.prometheusLabels),
      actorOf("application", application?.namespace ?? "", application?.labels ?? {}),
      actorOf("gateway", gateways[0]?.namespace ?? "", { app: "gateway" }),
      actorOf("dns", settings.cluster.dns.namespace, settings.cluster.dns.labels),
      { name: "node", address: "10.213.0.1" },
      { name: "world", address: world.address, enter: ["ip", "netns", "exec", world.name] },
    ];
    const known = (): Promise<string> => Promise.resolve(spawnSync("ipset", ["save"], { encoding: "utf8" }).stdout);
    const missing = (sets: string): readonly Actor[] =>
      actors.filter(({ address, name }) => name !== "world" && !sets.includes(` ${address}\n`));
    assert.deepEqual(missing(await eventually(known, (sets) => missing(sets).length === 0)), []);
  });

  after(async function () {
    this.timeout(120_000);
    removeWorld();
    const { stranger, passerBy } = standIns;
    const names = [...standIns.parts.map((part) => `pod/matrix-${part}`), `pod/${stranger.name}`];
    await attemptLab(["kubectl", "delete", ...names, "-n", namespace, "--ignore-not-found"]);
    await attemptLab(["kubectl", "delete", `pod/${passerBy.name}`, "-n", passerBy.namespace, "--ignore-not-found"]);
  });

  it("let pass what the table of flows says, and nothing else, between any two pods and the world, by any port", async function () {
    this.timeout(180_000);
    const differences: string[] = [];
    const used = new Set<string>();
    let passed = 0;
    let all = 0;
    const callers = actors.filter(({ enter }) => enter !== undefined);
    const one = async (from: Actor): Promise<void> => {
      const others = actors.filter((to) => to !== from && isJudged(from, to));
      const attempts = others.flatMap((to) => triedAt(to).map((what) => ({ to, what })));
      const answers = await probe(
        from,
        attempts.map(({ to, what }) => ({ address: to.address, ...what })),
      );
      for (const [index, { to, what }] of attempts.entries()) {
        const [passes, should] = [answers[index] === true, allowed(table, from, to, what)];
        const line = `${from.name} → ${to.name} ${what.port}/${what.protocol}`;
        if (passes !== should) differences.push(`${line} ${passes ? "passes" : "fails"}`);
        all += 1;
        if (passes) passed += 1;
        if (passes) used.add(line);
      }
    };
    // Several at a time: each waits for answers that don't come.
    const queue = [...callers];
    const worker = async (): Promise<void> => {
      for (let from = queue.shift(); from !== undefined; from = queue.shift()) await one(from);
    };
    await Promise.all(Array.from({ length: 4 }, worker));
    process.stdout.write(`      ${all} connections tried, ${passed} passed\n`);
    assert.deepEqual(differences.sort(), []);
    for (const line of [
      "inbound → tokenizer 8080/TCP",
      "tokenizer → database 3306/TCP",
      "outbound → gateway 443/TCP",
      "world → inbound 8443/TCP",
    ]) {
      assert.ok(used.has(line), line);
    }
  });

  it("aren't gone around by what the kernel remembers of a pod that had the address before", async () => {
    const [gateway, tokenizer] = [find("gateway"), find("tokenizer")];
    const local = 40_000;
    const ends = ["-p", "tcp", "-s", gateway.address, "-d", tokenizer.address];
    const entry = [...ends, "--sport", `${local}`, "--dport", `${ports.icap}`];
    const remember = ["-I", ...entry, "--state", "ESTABLISHED", "-u", "ASSURED,SEEN_REPLY", "-t", "120"];
    const { status, stderr } = spawnSync("conntrack", remember, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const target: Target = { address: tokenizer.address, port: ports.icap, protocol: "TCP", from: local };
    const answers = await probe(gateway, [target]);
    spawnSync("conntrack", ["-D", ...entry]);
    assert.deepEqual(answers, [false]);
  });

  it("aren't gone around by the addresses of IPv6 that every link has", async () => {
    const [inbound, passerBy] = [find("inbound"), find("passer-by")];
    const [enter = "", ...words] = inbound.enter ?? [];
    const { stdout } = spawnSync(enter, [...words, "ip", "-6", "-o", "address", "show", "dev", "eth0"], {
      encoding: "utf8",
    });
    const own = /inet6 (fe80:[0-9a-f:]+)/.exec(stdout)?.[1];
    if (own === undefined) {
      process.stdout.write("      this machine gives links no address of IPv6: nothing to go around by\n");
      return;
    }
    const target: Target = { address: `${own}%eth0`, port: ports.inbound, protocol: "TCP" };
    assert.deepEqual(await probe(passerBy, [target]), [false]);
  });

  it("hold for a connection's address, not its Service alone: what a Service leads to is what is asked", async () => {
    const tokenizer = await kubectl(
      "get",
      "service",
      "tokenshield-tokenizer",
      "-n",
      namespace,
      "-o",
      "jsonpath={.spec.clusterIP}",
    );
    const target: Target = { address: tokenizer, port: ports.tokenizer, protocol: "TCP" };
    assert.deepEqual(await probe(find("inbound"), [target]), [true]);
    assert.deepEqual(await probe(find("dashboard"), [target]), [false]);
    assert.deepEqual(await probe(find("passer-by"), [target]), [false]);
  });
});
