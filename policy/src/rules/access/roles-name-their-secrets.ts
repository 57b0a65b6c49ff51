import { resourceRule } from "../../model/rule.ts";
import { roleTypes } from "./rbac.ts";

const guarded = ["secrets", "serviceaccounts/token"];

export const rolesNameTheirSecrets = resourceRule({
  name: "roles-name-their-secrets",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "7.2.5", "8.6.1"],
  cis: ["5.1.2", "5.1.13"],
  description: "A role that reads Secrets or makes tokens of accounts must name each of them, and must not list them.",
  remediation: "Set resourceNames, and leave list and watch out.",
  types: roleTypes,
  check: (role, report) => {
    for (const rule of role.at("rules").items) {
      if (!rule.at("resources").texts.some((resource) => guarded.includes(resource))) continue;
      if (rule.at("resourceNames").items.length === 0)
        report(rule.at("resourceNames"), "must name each Secret or account");
      for (const verb of rule.at("verbs").items) {
        if (["list", "watch", "deletecollection"].includes(verb.text ?? "")) {
          report(verb, "must not be there: it shows every Secret");
        }
      }
    }
  },
});
