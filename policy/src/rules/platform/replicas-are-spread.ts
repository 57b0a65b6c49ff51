import { replicatedTypes } from "../../model/pod-template.ts";
import { resourceRule } from "../../model/rule.ts";

export const replicasAreSpread = resourceRule({
  name: "replicas-are-spread",
  level: "advisory",
  severity: "low",
  pci: ["10.7.2", "12.10.1"],
  description: "Replicas must be spread over nodes or zones, so that none of them takes all.",
  remediation: "Add topologySpreadConstraints, or podAntiAffinity.",
  types: replicatedTypes,
  check: (workload, report) => {
    if ((workload.at("spec", "replicas").number ?? 2) < 2) return;
    const spec = workload.in("spec.template.spec");
    const at = spec.at("topologySpreadConstraints");
    if (at.items.length === 0 && !spec.at("affinity", "podAntiAffinity").exists) report(at, "must be set");
  },
});
