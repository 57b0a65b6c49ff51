import { templateKinds } from "../../model/pod-template.ts";
import { podRule } from "../../model/rule.ts";

const servers = /:(Deployment|StatefulSet|DaemonSet|ReplicaSet|ReplicationController)(Patch)?$/;

export const containersHaveProbes = podRule({
  name: "containers-have-probes",
  level: "advisory",
  severity: "medium",
  pci: ["10.7.2"],
  // A liveness probe is a choice: it may kill what is busy recovering.
  description: "Every container that serves must have a readiness probe, so that its failure is seen and passed by.",
  remediation: "Add readinessProbe.",
  types: templateKinds.filter((type) => servers.test(type)),
  check: ({ containers }, report) => {
    for (const { view, list } of containers) {
      if (list !== "containers") continue;
      if (!view.at("readinessProbe").exists) report(view.at("readinessProbe"), "must be set");
    }
  },
});
