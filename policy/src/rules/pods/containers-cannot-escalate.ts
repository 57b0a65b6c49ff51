import { podRule } from "../../model/rule.ts";

export const containersCannotEscalate = podRule({
  name: "containers-cannot-escalate",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.6", "7.2.5"],
  cis: ["5.2.6"],
  description: "No container must be able to gain more rights than its parent process.",
  remediation: "Set allowPrivilegeEscalation to false for each container.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      const at = view.at("securityContext", "allowPrivilegeEscalation");
      if (at.flag !== false) report(at, "must be false");
    }
  },
});
