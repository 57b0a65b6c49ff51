import { replicatedTypes } from "../../model/pod-template.ts";
import { stackRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

export const autoscalersKeepReplicas = stackRule({
  name: "autoscalers-keep-replicas",
  level: "advisory",
  severity: "medium",
  pci: ["10.7.2", "12.10.1"],
  description:
    "An autoscaler must keep at least two pods of a workload of this stack, and must be the only one who sets their number.",
  remediation: "Set minReplicas to 2 or more, name the workload, and leave replicas out of it.",
  check: (stack, report) => {
    const workloads = stack.of(...replicatedTypes);
    for (const autoscaler of stack.of("kubernetes:autoscaling/v2:HorizontalPodAutoscaler")) {
      const spec = autoscaler.at("spec");
      const least = spec.at("minReplicas");
      // Kubernetes takes 1 where none is given.
      if (!least.isUnknown && (least.number ?? 1) < 2) report(least, "must be at least 2");
      const [kind, name] = [spec.at("scaleTargetRef", "kind"), spec.at("scaleTargetRef", "name")];
      if (kind.isUnknown || name.isUnknown) continue;
      const target = workloads.find(
        (one) =>
          one.resource.type.endsWith(`:${kind.text ?? ""}`) &&
          isNamed(one, name.text) &&
          one.at("metadata", "namespace").text === autoscaler.at("metadata", "namespace").text,
      );
      if (target === undefined) report(name, "must name a workload of this stack in the same namespace");
      const fixed = target?.at("spec", "replicas");
      if (fixed?.exists === true) report(fixed, "must not be set: the autoscaler decides on it");
    }
  },
});

/**
 * Whether a resource has a name in the cluster. One that is given none there is called after the resource; a plan without a
 * cluster knows neither its name nor what refers to it.
 */
function isNamed(workload: View, name: string | undefined): boolean {
  const own = workload.at("metadata", "name");
  if (own.given || name === undefined) return own.text === name;
  return name.startsWith(`${workload.resource.name}-`);
}
