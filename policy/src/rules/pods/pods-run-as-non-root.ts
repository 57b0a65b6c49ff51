import { podRule } from "../../model/rule.ts";

export const podsRunAsNonRoot = podRule({
  name: "pods-run-as-non-root",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.6", "7.2.5"],
  cis: ["5.2.7"],
  description: "Every container must run as another user than root.",
  remediation: "Set runAsNonRoot to true for the pod or each container, and no runAsUser of 0.",
  check: ({ spec, containers }, report) => {
    const pod = spec.at("securityContext");
    for (const { view } of containers) {
      const own = view.at("securityContext", "runAsNonRoot");
      const inherited = pod.at("runAsNonRoot");
      if ((own.exists || own.isUnknown ? own.flag : inherited.flag) !== true) {
        if (!own.isUnknown && (own.exists || !inherited.isUnknown)) report(own, "must be true");
      }
      const user = view.at("securityContext", "runAsUser");
      if (user.number === 0) report(user, "must not be 0, the user root");
    }
    if (pod.at("runAsUser").number === 0) report(pod.at("runAsUser"), "must not be 0, the user root");
  },
});
