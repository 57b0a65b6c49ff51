import { resourceRule } from "../../model/rule.ts";
import { allowances, networkPolicyTypes } from "./network-policy.ts";

export const networkPoliciesNamePorts = resourceRule({
  name: "network-policies-name-ports",
  level: "mandatory",
  severity: "high",
  pci: ["1.2.5", "1.2.6", "1.3.1", "1.3.2"],
  cis: ["5.3.2"],
  description: "Every allowance of a network policy must name its ports one by one, and cover both directions.",
  remediation: "List the ports with their protocols; set policyTypes to Ingress and Egress.",
  types: networkPolicyTypes,
  check: (policy, report) => {
    const kinds = policy.at("spec", "policyTypes");
    for (const kind of ["Ingress", "Egress"]) {
      if (!kinds.texts.includes(kind)) report(kinds, `must contain ${kind}`);
    }
    for (const { ports } of allowances(policy)) {
      if (ports.items.length === 0) report(ports, "must name at least one port: without any, all are open");
      for (const port of ports.items) {
        if (!port.at("port").exists) report(port.at("port"), "must be set: without it, all ports are open");
        if (port.at("endPort").exists) report(port.at("endPort"), "must not be there: name each port");
        if (!port.at("protocol").exists) report(port.at("protocol"), "must be set");
      }
    }
  },
});
