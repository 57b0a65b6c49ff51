import { resourceRule } from "../../model/rule.ts";
import { allowances, isWorld, networkPolicyTypes, selectsAll } from "./network-policy.ts";

/** Where a cloud's metadata service lies; whoever reaches it gets the node's credentials. */
const metadataRange = "169.254.0.0/16";

export const networkPoliciesNamePeers = resourceRule({
  name: "network-policies-name-peers",
  level: "mandatory",
  severity: "critical",
  pci: ["1.2.5", "1.3.1", "1.3.2", "1.4.2"],
  cis: ["5.3.2"],
  description: "Every allowance of a network policy must name who may connect to whom.",
  remediation: "Name pods, namespaces or address ranges; leave private ranges out where any public address is meant.",
  types: networkPolicyTypes,
  check: (policy, report) => {
    for (const { peers, direction } of allowances(policy)) {
      if (peers.items.length === 0) report(peers, "must name at least one peer: without any, all pass");
      for (const peer of peers.items) {
        const [pods, namespaces, block] = [peer.at("podSelector"), peer.at("namespaceSelector"), peer.at("ipBlock")];
        if (!pods.given && !namespaces.given && !block.given) report(peer, "must name a peer");
        if (selectsAll(namespaces)) report(namespaces, "must name namespaces, and selects all of them");
        if (selectsAll(pods) && !namespaces.exists) report(pods, "must name pods, and selects all of the namespace");
        if (direction === "egress" && isWorld(block.at("cidr").text)) {
          const except = block.at("except");
          if (!except.texts.includes(metadataRange)) report(except, `must contain ${metadataRange}, metadata services`);
          if (!except.texts.includes("10.0.0.0/8"))
            report(except, "must contain the private ranges, 10.0.0.0/8 at least");
        }
      }
    }
  },
});
