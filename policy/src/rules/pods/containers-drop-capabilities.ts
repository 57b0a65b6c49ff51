import { podRule } from "../../model/rule.ts";

export const containersDropCapabilities = podRule({
  name: "containers-drop-capabilities",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.4", "2.2.6", "7.2.5"],
  cis: ["5.2.8", "5.2.9", "5.2.10"],
  description: "Every container must drop all capabilities and add none.",
  remediation: 'Set capabilities.drop to ["ALL"]; listen on ports above 1023 so that none is needed.',
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      const drop = view.at("securityContext", "capabilities", "drop");
      if (!drop.texts.includes("ALL")) report(drop, "must contain ALL");
      for (const added of view.at("securityContext", "capabilities", "add").items) {
        report(added, `must not be there: ${added.text ?? "a capability"} is added`);
      }
    }
  },
});
