import { templateKinds } from "../../model/pod-template.ts";
import { podRule } from "../../model/rule.ts";

const servers = /:(Deployment|StatefulSet|DaemonSet|ReplicaSet|ReplicationController)(Patch)?$/;

export const podsHaveAReadinessProbe = podRule({
  name: "pods-have-a-readiness-probe",
  level: "advisory",
  severity: "medium",
  pci: ["10.7.2"],
  // A liveness probe is a choice: it may kill what is busy recovering.
  description: "Every pod that serves must have a readiness probe, so that its failure is seen and passed by.",
  remediation: "Add readinessProbe.",
  types: templateKinds.filter((type) => servers.test(type)),
  check: ({ containers }, report) => {
    const probes = containers.filter(({ list }) => list === "containers").map(({ view }) => view.at("readinessProbe"));
    const [first] = probes;
    // One is enough: the pod is ready when all that have one are, and one may ask through another.
    if (first === undefined || probes.some((probe) => probe.exists || probe.isUnknown)) return;
    report(first, "must be set");
  },
});
