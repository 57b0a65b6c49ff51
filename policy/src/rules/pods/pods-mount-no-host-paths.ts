import { podRule } from "../../model/rule.ts";

export const podsMountNoHostPaths = podRule({
  name: "pods-mount-no-host-paths",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.6", "7.2.5"],
  cis: ["5.2.12"],
  description: "No pod must mount a folder of its node.",
  remediation: "Use a persistent volume, an emptyDir or a CSI volume.",
  check: ({ spec }, report) => {
    for (const volume of spec.at("volumes").items) {
      if (volume.at("hostPath").exists) report(volume.at("hostPath"), "must not be there");
    }
  },
});
