import { resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

const groups = ["aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"];

export const cloudFirewallsAreNarrow = resourceRule({
  name: "cloud-firewalls-are-narrow",
  level: "mandatory",
  severity: "critical",
  pci: ["1.2.5", "1.3.1", "1.3.2", "1.4.4"],
  description: "No firewall of the cloud must be open to the world, or open every port.",
  remediation: "Name the ranges or groups and the ports.",
  types: [
    ...groups,
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
  ],
  check: (firewall, report) => {
    const rules = groups.includes(firewall.resource.type)
      ? [...firewall.at("ingress").items, ...firewall.at("egress").items]
      : [firewall];
    for (const rule of rules) {
      for (const at of ranges(rule)) {
        if (/^(0\.0\.0\.0|::)\/0$/.test(at.text ?? "")) report(at, "must not be the world");
      }
      const protocol = rule.at(rule.at("ipProtocol").exists ? "ipProtocol" : "protocol");
      if (["-1", "all"].includes(protocol.text ?? "")) report(protocol, "must name a protocol: this opens every port");
    }
  },
});

function ranges(rule: View): View[] {
  return [...rule.at("cidrBlocks").items, ...rule.at("ipv6CidrBlocks").items, rule.at("cidrIpv4"), rule.at("cidrIpv6")];
}
