import { resourceRule } from "../../model/rule.ts";
import { allowances, networkPolicyTypes } from "./network-policy.ts";

export const dnsPassesByBothProtocols = resourceRule({
  name: "dns-passes-by-both-protocols",
  level: "mandatory",
  severity: "low",
  pci: ["1.2.5"],
  description: "An allowance of DNS must allow UDP and TCP, as answers that don't fit in UDP come by TCP.",
  remediation: "Allow port 53 with both protocols.",
  types: networkPolicyTypes,
  check: (policy, report) => {
    for (const { ports } of allowances(policy).filter(({ direction }) => direction === "egress")) {
      const dns = ports.items.filter((port) => port.at("port").number === 53);
      if (dns.length === 0) continue;
      for (const protocol of ["UDP", "TCP"]) {
        if (!dns.some((port) => (port.at("protocol").text ?? "TCP") === protocol)) {
          report(ports, `must allow port 53 by ${protocol}, too`);
        }
      }
    }
  },
});
