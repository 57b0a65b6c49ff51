import type { types } from "@pulumi/kubernetes";
import { type Part, roleLabel } from "../parts";
import type { Endpoint, Flow } from "./flows";

type Peer = types.input.networking.v1.NetworkPolicyPeer;
type Spec = types.input.networking.v1.NetworkPolicySpec;

/** Addresses that aren't public: private, shared, loopback and link-local ones (RFC 6890), cloud metadata included. */
export const privateRanges = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "224.0.0.0/3",
] as const;

/** The label that the API server puts on every namespace. */
const namespaceName = "kubernetes.io/metadata.name";

/** Denies everything, in both directions, to every pod of the namespace. */
export const denyAll: Spec = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };

/**
 * The policy of one part: what the flows allow it, and nothing else.
 * @returns the policy's spec; without any flow it denies everything
 */
export function policySpec(part: Part, flows: readonly Flow[]): Spec {
  const isPart = (end: Endpoint): boolean => end.kind === "part" && end.part === part;
  return {
    podSelector: { matchLabels: { [roleLabel]: part } },
    policyTypes: ["Ingress", "Egress"],
    ingress: flows.filter(({ to }) => isPart(to)).map(({ from, ports }) => ({ from: peers(from), ports: [...ports] })),
    egress: flows.filter(({ from }) => isPart(from)).map(({ to, ports }) => ({ to: peers(to), ports: [...ports] })),
  };
}

function peers(end: Endpoint): Peer[] {
  switch (end.kind) {
    case "part":
      return [{ podSelector: { matchLabels: { [roleLabel]: end.part } } }];
    case "pods":
      return [{ ...inNamespace(end.namespace), podSelector: { matchLabels: end.labels } }];
    case "namespaces":
      return end.namespaces.map(inNamespace);
    case "addresses":
      return end.cidrs.map((cidr) => ({ ipBlock: { cidr } }));
    case "world":
      return [{ ipBlock: { cidr: "0.0.0.0/0", except: [...privateRanges] } }];
  }
}

/** Every pod of a namespace. */
export function inNamespace(name: string): Peer {
  return { namespaceSelector: { matchLabels: { [namespaceName]: name } } };
}
