import { podRule } from "../../model/rule.ts";

const profiles = ["RuntimeDefault", "Localhost"];

export const podsUseSeccomp = podRule({
  name: "pods-use-seccomp",
  level: "mandatory",
  severity: "medium",
  pci: ["2.2.6"],
  cis: ["5.7.2"],
  description: "Every container must run under a seccomp profile.",
  remediation: "Set seccompProfile.type to RuntimeDefault for the pod.",
  check: ({ spec, containers }, report) => {
    const inherited = spec.at("securityContext", "seccompProfile", "type");
    for (const { view } of containers) {
      const own = view.at("securityContext", "seccompProfile", "type");
      if (own.exists) {
        if (!profiles.includes(own.text ?? "")) report(own, `must be one of ${profiles.join(", ")}`);
      } else if (!own.isUnknown && !profiles.includes(inherited.text ?? "")) {
        report(inherited, `must be one of ${profiles.join(", ")}`);
      }
    }
  },
});
