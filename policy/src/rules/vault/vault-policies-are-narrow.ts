import { resourceRule } from "../../model/rule.ts";
import { policyType, rulesOf } from "./policy-text.ts";

export const vaultPoliciesAreNarrow = resourceRule({
  name: "vault-policies-are-narrow",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "7.2.2", "7.2.5", "8.6.1"],
  description:
    "A policy of Vault must name its paths one by one, without wildcards, root rights or Vault's own settings.",
  remediation: "List the paths that the part needs, each with its capabilities.",
  types: [policyType],
  check: (policy, report) => {
    const { at, rules } = rulesOf(policy);
    if (at.exists && rules.length === 0) report(at, "must name at least one path");
    for (const { path, capabilities } of rules) {
      if (/[*+]/.test(path)) report(at, `must not have a wildcard in ${path}`);
      if (/^\/?sys\//.test(path)) report(at, `must not allow Vault's settings, ${path}`);
      if (/^auth\/token\/(create|root)/.test(path)) report(at, `must not allow to make tokens, ${path}`);
      for (const strong of ["sudo", "root", "delete", "patch"].filter((one) => capabilities.includes(one))) {
        report(at, `must not allow ${strong} on ${path}`);
      }
    }
  },
});
