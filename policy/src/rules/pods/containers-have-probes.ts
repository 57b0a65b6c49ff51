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
  check: ({ owner, containers }, report) => {
    if (!servers.test(owner.resource.type)) return;
    for (const { view, list } of containers) {
      if (list !== "containers") continue;
      for (const probe of ["readinessProbe", "livenessProbe"]) {
        if (!view.at(probe).exists) report(view.at(probe), "must be set");
      }
    }
  },
});
