import { resourceRule } from "../../model/rule.ts";
import { roleTypes } from "./rbac.ts";

export const rolesNameTheirRights = resourceRule({
  name: "roles-name-their-rights",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "7.2.2", "7.2.5"],
  cis: ["5.1.3"],
  description: "Every role must name its API groups, resources and verbs; none must stand for all.",
  remediation: "List what the part calls.",
  types: roleTypes,
  check: (role, report) => {
    for (const rule of role.at("rules").items) {
      for (const key of ["apiGroups", "resources", "verbs", "nonResourceURLs"]) {
        for (const item of rule.at(key).items) {
          if (item.text?.includes("*") === true) report(item, "must not stand for all");
        }
      }
    }
  },
});
