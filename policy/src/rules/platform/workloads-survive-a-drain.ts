import { replicatedTypes } from "../../model/pod-template.ts";
import { stackRule } from "../../model/rule.ts";

export const workloadsSurviveADrain = stackRule({
  name: "workloads-survive-a-drain",
  level: "mandatory",
  severity: "medium",
  pci: ["10.7.2", "12.10.1"],
  description:
    "Every workload with replicas must have a disruption budget that leaves it running while a node is drained.",
  remediation: "Add a PodDisruptionBudget whose selector matches the pods' labels.",
  check: (stack, report) => {
    const budgets = stack.of("kubernetes:policy/v1:PodDisruptionBudget");
    for (const workload of stack.of(...replicatedTypes)) {
      const replicas = workload.at("spec", "replicas");
      // One that the autoscaler sets may grow, so that an absent number counts as several.
      if ((replicas.number ?? 2) < 2) continue;
      const namespace = workload.at("metadata", "namespace").text;
      const labels = new Map(workload.in("spec.template.metadata.labels").fields.map(([key, at]) => [key, at.text]));
      const own = budgets.filter(
        (budget) =>
          budget.at("metadata", "namespace").text === namespace &&
          budget.in("spec.selector.matchLabels").fields.length > 0 &&
          budget.in("spec.selector.matchLabels").fields.every(([key, at]) => labels.get(key) === at.text),
      );
      if (own.length === 0) report(workload, "must have a PodDisruptionBudget");
      for (const budget of own) {
        const most = budget.at("spec", "maxUnavailable");
        if (most.text === "100%") report(most, "must leave some pods");
        if (!most.exists && !budget.at("spec", "minAvailable").exists) report(most, "must be set, or minAvailable");
      }
    }
  },
});
