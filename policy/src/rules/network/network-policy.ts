import type { View } from "../../model/view.ts";

/** The types of Kubernetes' own network policies. */
export const networkPolicyTypes = [
  "kubernetes:networking.k8s.io/v1:NetworkPolicy",
  "kubernetes:networking.k8s.io/v1:NetworkPolicyPatch",
] as const;

/** One allowance of a network policy. */
export interface Allowance {
  readonly direction: "ingress" | "egress";
  readonly view: View;
  readonly peers: View;
  readonly ports: View;
}

/** What a network policy allows, both ways. */
export function allowances(policy: View): Allowance[] {
  const of = (direction: Allowance["direction"], peers: string): Allowance[] =>
    policy
      .at("spec", direction)
      .items.map((view) => ({ direction, view, peers: view.at(peers), ports: view.at("ports") }));
  return [...of("ingress", "from"), ...of("egress", "to")];
}

/** Whether a selector selects everything: it is there and has neither labels nor expressions. */
export function selectsAll(selector: View): boolean {
  return (
    selector.exists &&
    selector.at("matchLabels").fields.length === 0 &&
    selector.at("matchExpressions").items.length === 0
  );
}

/** Whether a range of addresses is the whole of IPv4 or IPv6. */
export function isWorld(cidr: string | undefined): boolean {
  return cidr !== undefined && /^(0\.0\.0\.0|::)\/0$/.test(cidr);
}
