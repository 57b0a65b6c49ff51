import { digest } from "../files.ts";
import type { Attachment } from "./attachments.ts";
import { type Cluster, type NetworkPolicy, type Peer, type Pod, type Port, type Selector, selects } from "./objects.ts";

/** Addresses by which rules select. The name is the content, so that a set never changes once it is made. */
export interface AddressSet {
  readonly name: string;
  readonly type: SetType;
  /** As ipset takes them: `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/9 nomatch`, `10.0.0.1,tcp:80`. Sorted. */
  readonly entries: readonly string[];
}

export type SetType = "hash:ip" | "hash:net" | "hash:ip,port";

/** A connection that may be opened. What is absent counts for everything. */
export interface Rule {
  /** Names of sets that the caller and the called must be in. */
  readonly from?: string;
  readonly to?: string;
  /** Name of a set with address and port of the called, in the place of `to` and the port. */
  readonly toPort?: string;
  readonly protocol?: string;
  /** First and last port. */
  readonly ports?: readonly [first: number, last: number];
}

/** What may pass between the cluster's pods and the world. */
export interface RuleSet {
  readonly sets: readonly AddressSet[];
  /** Set of the addresses whose pods are known. What has another address of the pods' range isn't: a pod that just began. */
  readonly known: string;
  /** Sets of the pods that may only call, and only be called, as the rules say. */
  readonly isolated: { readonly egress: string; readonly ingress: string };
  readonly egress: readonly Rule[];
  readonly ingress: readonly Rule[];
}

type Direction = "ingress" | "egress";

/** A pod with an address of its own; one with several is several of these. */
type Reachable = Pod & { readonly address: string };

/**
 * What a cluster's network policies let pass (Kubernetes, "Network Policies"): a pod that no policy of a direction
 * selects is open in that direction; else one rule of one of those policies must allow the connection.
 *
 * @param others addresses of the pods' range that belong to no pod: the node's
 */
export function ruleSetOf(cluster: Cluster, others: readonly string[]): RuleSet {
  const pods = reachable(cluster);
  const sets = new Map<string, AddressSet>();
  const nameOf = (type: SetType, entries: readonly string[]): string => {
    const sorted = [...new Set(entries)].sort();
    const name = `tsl-${digest(type, ...sorted).slice(0, 24)}`;
    sets.set(name, { name, type, entries: sorted });
    return name;
  };
  const addresses = (of: readonly Reachable[]): string =>
    nameOf(
      "hash:ip",
      of.map(({ address }) => address),
    );
  const isolated = { ingress: new Set<Reachable>(), egress: new Set<Reachable>() };
  const rules: Record<Direction, Rule[]> = { ingress: [], egress: [] };
  for (const policy of cluster.policies) {
    const selected = pods.filter((pod) => inPolicy(policy, pod));
    if (selected.length === 0) continue;
    for (const direction of directionsOf(policy)) {
      for (const pod of selected) isolated[direction].add(pod);
      for (const { peers, ports } of allowances(policy, direction)) {
        const parties = partiesOf(peers, policy, pods, cluster);
        const found = { direction, selected, parties, ports, pods };
        rules[direction].push(...rulesOf(found, addresses, nameOf));
      }
    }
  }
  const known = nameOf("hash:ip", [...pods.map(({ address }) => address), ...others]);
  const closed = { egress: addresses([...isolated.egress]), ingress: addresses([...isolated.ingress]) };
  return {
    sets: [...sets.values()].sort((one, other) => (one.name < other.name ? -1 : 1)),
    known,
    isolated: closed,
    egress: unique(rules.egress),
    ingress: unique(rules.ingress),
  };
}

/**
 * The pods by their addresses. What the container runtime says counts before what the API server says, which may be of a
 * pod's life before. Pods of the node's own network aren't told apart from the node; pods that ended have no address,
 * and an address that two pods claim is nobody's until one of them has lost it.
 */
function reachable({ pods, attachments }: Cluster): Reachable[] {
  const taken = new Set(attachments.map(({ address }) => address));
  const claims = pods.flatMap((pod) => {
    const { phase, podIP = "" } = pod.status ?? {};
    if (phase === "Succeeded" || phase === "Failed" || pod.spec.hostNetwork === true) return [];
    const given = attachments.filter((one) => isOf(one, pod)).map(({ address }) => address);
    const known = podIP === "" || taken.has(podIP) ? [] : [podIP];
    return (given.length > 0 ? given : known).map((address) => ({ ...pod, address }));
  });
  return claims.filter((one) =>
    claims.every((other) => other.address !== one.address || other.metadata === one.metadata),
  );
}

/** Whether an attachment is that of a pod. */
export const isOf = ({ namespace, name }: Attachment, { metadata }: Pod): boolean =>
  metadata.namespace === namespace && metadata.name === name;

const inPolicy = ({ metadata, spec }: NetworkPolicy, pod: Pod): boolean =>
  pod.metadata.namespace === metadata.namespace && selects(spec.podSelector ?? {}, pod.metadata.labels);

function directionsOf({ spec }: NetworkPolicy): Direction[] {
  const types = spec.policyTypes ?? (spec.egress === undefined ? ["Ingress"] : ["Ingress", "Egress"]);
  return [
    ...(types.includes("Ingress") ? ["ingress" as const] : []),
    ...(types.includes("Egress") ? ["egress" as const] : []),
  ];
}

interface Allowance {
  /** Empty: everybody. */
  readonly peers: readonly Peer[];
  /** Empty: every port of every protocol. */
  readonly ports: readonly Port[];
}

function allowances({ spec }: NetworkPolicy, direction: Direction): Allowance[] {
  return direction === "ingress"
    ? (spec.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports }))
    : (spec.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports }));
}

/** The other side of an allowance: anybody, these pods, or what lies in a block. */
type Party =
  | { readonly kind: "anybody" }
  | { readonly kind: "pods"; readonly pods: readonly Reachable[] }
  | { readonly kind: "block"; readonly entries: readonly string[] };

function partiesOf(
  peers: readonly Peer[],
  policy: NetworkPolicy,
  pods: readonly Reachable[],
  { namespaces }: Cluster,
): Party[] {
  if (peers.length === 0) return [{ kind: "anybody" }];
  const chosen = peers.filter(({ ipBlock }) => ipBlock === undefined);
  const namespaceLabels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels]));
  const isMeant = ({ metadata }: Pod, { namespaceSelector, podSelector = {} }: Peer): boolean =>
    inNamespace(metadata.namespace, namespaceSelector) && selects(podSelector, metadata.labels);
  const inNamespace = (name: string, selector: Selector | undefined): boolean =>
    selector === undefined ? name === policy.metadata.namespace : selects(selector, namespaceLabels.get(name));
  const meant = pods.filter((pod) => chosen.some((peer) => isMeant(pod, peer)));
  const blocks = peers.flatMap(({ ipBlock }) => (ipBlock === undefined ? [] : [blockOf(ipBlock)]));
  return [
    { kind: "pods" as const, pods: meant },
    ...blocks.map((entries) => ({ kind: "block" as const, entries })),
  ].filter((party) => (party.kind === "pods" ? party.pods : party.entries).length > 0);
}

/** A block as ipset has it, where the longest prefix decides. Pods have no IPv6 address, so such a block is nobody. */
function blockOf({ cidr, except = [] }: NonNullable<Peer["ipBlock"]>): string[] {
  if (cidr.includes(":")) return [];
  const without = except.filter((range) => !range.includes(":")).flatMap(halves);
  const kept = halves(cidr).filter((range) => !without.includes(range));
  return kept.length === 0 ? [] : [...kept, ...without.map((range) => `${range} nomatch`)];
}

/** ipset has no prefix of length 0. */
const halves = (range: string): string[] => (range.endsWith("/0") ? ["0.0.0.0/1", "128.0.0.0/1"] : [range]);

interface Found {
  readonly direction: Direction;
  readonly selected: readonly Reachable[];
  readonly parties: readonly Party[];
  readonly ports: readonly Port[];
  readonly pods: readonly Reachable[];
}

function rulesOf(
  { direction, selected, parties, ports, pods }: Found,
  addresses: (of: readonly Reachable[]) => string,
  nameOf: (type: SetType, entries: readonly string[]) => string,
): Rule[] {
  const own = addresses(selected);
  return parties.flatMap((party) => {
    const other =
      party.kind === "anybody"
        ? undefined
        : party.kind === "pods"
          ? addresses(party.pods)
          : nameOf("hash:net", party.entries);
    const [from, to] = direction === "ingress" ? [other, own] : [own, other];
    const called =
      direction === "ingress" ? selected : party.kind === "pods" ? party.pods : party.kind === "anybody" ? pods : [];
    const ends = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
    if (ports.length === 0) return [ends];
    return ports.flatMap(({ protocol: given = "TCP", port, endPort }): Rule[] => {
      const protocol = given.toLowerCase();
      if (port === undefined) return [{ ...ends, protocol }];
      if (typeof port === "number") return [{ ...ends, protocol, ports: [port, endPort ?? port] }];
      const named = called.flatMap((pod) =>
        portsNamed(pod, port, given).map((number) => `${pod.address},${protocol}:${number}`),
      );
      return named.length === 0
        ? []
        : [{ ...(from === undefined ? {} : { from }), toPort: nameOf("hash:ip,port", named) }];
    });
  });
}

/** Init containers that go on beside the others serve as well. */
function portsNamed({ spec }: Pod, wanted: string, wantedProtocol: string): number[] {
  const lasting = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...spec.containers, ...lasting]
    .flatMap(({ ports = [] }) => ports)
    .filter(({ name, protocol = "TCP" }) => name === wanted && protocol === wantedProtocol)
    .map(({ containerPort }) => containerPort);
}

/** Each once, in an order that doesn't depend on that of the policies: any rule that allows is enough. */
function unique(rules: readonly Rule[]): Rule[] {
  const byText = new Map(rules.map((rule) => [JSON.stringify(rule), rule]));
  return [...byText].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, rule]) => rule);
}
