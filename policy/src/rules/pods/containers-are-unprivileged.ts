import { podRule } from "../../model/rule.ts";

export const containersAreUnprivileged = podRule({
  name: "containers-are-unprivileged",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.6", "7.2.5"],
  cis: ["5.2.2"],
  description: "No container must be privileged or see the host's unmasked /proc.",
  remediation: "Leave privileged and procMount out of each container's securityContext.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      const privileged = view.at("securityContext", "privileged");
      if (privileged.flag === true) report(privileged, "must not be true");
      const proc = view.at("securityContext", "procMount");
      if (proc.exists && proc.text !== "Default") report(proc, "must be Default");
    }
  },
});
