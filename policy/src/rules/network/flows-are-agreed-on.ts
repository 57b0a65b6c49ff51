import { resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";
import { type FlowRow, flowsTable, outsiders, type PeerKind } from "./flows-table.ts";
import { type Allowance, allowances, isWorld, networkPolicyTypes } from "./network-policy.ts";

const role = "tokenization.io/role";

export const flowsAreAgreedOn = resourceRule({
  name: "flows-are-agreed-on",
  level: "mandatory",
  severity: "critical",
  pci: ["1.2.5", "1.2.6", "1.2.7", "1.3.1", "1.3.2", "1.4.4"],
  description: "Every flow that a tenant's network policies allow must be in the table of flows that were agreed on.",
  remediation: "Remove the allowance, or have the flow reviewed and add it to flows-table.ts with its reason.",
  types: networkPolicyTypes,
  check: (policy, report) => {
    if (policy.at("metadata", "labels").at("tokenization.io/tenant").text === undefined) return;
    const part = policy.at("spec", "podSelector", "matchLabels").at(role).text;
    for (const allowance of allowances(policy)) {
      if (part === undefined) {
        report(allowance.view, "must belong to a policy that selects one part by its role");
        continue;
      }
      for (const peer of allowance.peers.items) checkPeer(part, allowance, peer, report);
    }
  },
});

function checkPeer(part: string, allowance: Allowance, peer: View, report: (at: View, message: string) => void): void {
  const kind = kindOf(peer);
  const label = peer.at("podSelector", "matchLabels").at(role);
  if (kind === "part" && label.isUnknown) return;
  const name = kind === "part" ? (label.text ?? "") : kind;
  for (const port of allowance.ports.items) {
    const [number, protocol] = [port.at("port"), port.at("protocol")];
    if (number.isUnknown) continue;
    const wanted = `${protocol.text ?? "TCP"} ${number.number ?? number.text ?? ""}`;
    const agreed = flowsTable.some((row) => covers(row, part, allowance.direction, kind, name, wanted));
    const flow = allowance.direction === "egress" ? `from ${part} to ${name}` : `from ${name} to ${part}`;
    if (!agreed) report(port, `must be in the table of flows: ${wanted} ${flow} isn't`);
  }
}

function kindOf(peer: View): PeerKind {
  if (peer.at("ipBlock").exists) return isWorld(peer.at("ipBlock", "cidr").text) ? "world" : "addresses";
  if (!peer.at("namespaceSelector").exists) return "part";
  return peer.at("podSelector").exists ? "pods" : "namespaces";
}

function covers(
  row: FlowRow,
  part: string,
  direction: Allowance["direction"],
  kind: PeerKind,
  name: string,
  port: string,
): boolean {
  const [own, other] = direction === "egress" ? [row.from, row.to] : [row.to, row.from];
  if (own !== part || (row.ports !== "configured" && !row.ports.includes(port))) return false;
  const kinds: readonly PeerKind[] | undefined = Object.hasOwn(outsiders, other)
    ? outsiders[other as keyof typeof outsiders]
    : undefined;
  return kinds === undefined ? kind === "part" && other === name : kinds.includes(kind);
}
