import { resourceRule } from "../../model/rule.ts";
import { roleTypes } from "./rbac.ts";

const verbs = ["bind", "escalate", "impersonate"];
const resources = ["pods/exec", "pods/attach", "pods/ephemeralcontainers", "nodes/proxy", "pods/portforward"];

export const rolesCannotEscalate = resourceRule({
  name: "roles-cannot-escalate",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "7.2.2", "7.2.5"],
  cis: ["5.1.8", "5.1.10"],
  description: "No role must be able to give itself more rights, to be somebody else or to enter pods.",
  remediation: "Remove the verb or the resource; people enter pods by a break-glass role outside the program.",
  types: roleTypes,
  check: (role, report) => {
    for (const rule of role.at("rules").items) {
      for (const verb of rule.at("verbs").items) {
        if (verbs.includes(verb.text ?? "")) report(verb, "must not be there");
      }
      for (const resource of rule.at("resources").items) {
        if (resources.includes(resource.text ?? "")) report(resource, "must not be there");
      }
    }
  },
});
