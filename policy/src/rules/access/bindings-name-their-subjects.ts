import { resourceRule } from "../../model/rule.ts";
import { bindingTypes } from "./rbac.ts";

const everybody = ["system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:masters"];
const powerful = ["cluster-admin", "admin", "edit"];

export const bindingsNameTheirSubjects = resourceRule({
  name: "bindings-name-their-subjects",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "7.2.2", "7.2.5", "8.2.2"],
  cis: ["5.1.1", "5.1.5", "5.1.7"],
  description: "Every binding must give a role that was made for it to one account, and to no group of everybody.",
  remediation: "Bind a role of the part's own to its ServiceAccount.",
  types: bindingTypes,
  check: (binding, report) => {
    const role = binding.at("roleRef", "name");
    if (powerful.includes(role.text ?? "")) report(role, `must not be ${role.text ?? ""}`);
    for (const subject of binding.at("subjects").items) {
      const name = subject.at("name");
      const text = name.text ?? "";
      if (everybody.some((group) => text === group || text.startsWith(`${group}:`)))
        report(name, "must not be everybody");
      if (subject.at("kind").text === "ServiceAccount" && text === "default") report(name, "must not be default");
    }
  },
});
