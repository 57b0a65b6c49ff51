import { podRule } from "../../model/rule.ts";

export const containersHaveLimits = podRule({
  name: "containers-have-limits",
  level: "mandatory",
  severity: "medium",
  pci: ["2.2.6"],
  description: "Every container must ask for CPU and memory, and be bounded in memory.",
  remediation: "Set resources.requests.cpu, resources.requests.memory and resources.limits.memory.",
  check: ({ containers }, report) => {
    for (const { view, list } of containers) {
      // An ephemeral container can't have resources of its own (Kubernetes API, EphemeralContainerCommon).
      if (list === "ephemeralContainers") continue;
      for (const path of ["requests.cpu", "requests.memory", "limits.memory"]) {
        const at = view.in(`resources.${path}`);
        if (!at.exists) report(at, "must be set");
      }
    }
  },
});
