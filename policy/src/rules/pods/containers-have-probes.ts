import { templateKinds } from "../../model/pod-template.ts";
import { podRule } from "../../model/rule.ts";

const servers = /:(Deployment|StatefulSet|DaemonSet|ReplicaSet|ReplicationController)(Patch)?$/;

export const containersHaveProbes = podRule({
  name: "containers-have-probes",
  level: "advisory",
  severity: "medium",
  pci: ["10.7.2"],
  description:
    "Every container that serves must have a readiness probe and a liveness probe, so that its failure is seen.",
  remediation: "Add readinessProbe and livenessProbe.",
  types: templateKinds.filter((type) => servers.test(type)),
  check: ({ containers }, report) => {
    for (const { view, list } of containers) {
      if (list !== "containers") continue;
      for (const probe of ["readinessProbe", "livenessProbe"]) {
        if (!view.at(probe).exists) report(view.at(probe), "must be set");
      }
    }
  },
});
