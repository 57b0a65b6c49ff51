import { podRule } from "../../model/rule.ts";

export const secretsComeFromTheStore = podRule({
  name: "secrets-come-from-the-store",
  level: "mandatory",
  severity: "medium",
  pci: ["3.7.2", "8.3.2", "8.6.2"],
  cis: ["5.4.2"],
  description:
    "Every secret file must come from the secret store by a CSI volume, and not from a Secret of the cluster.",
  remediation: "Use a csi volume with driver secrets-store.csi.k8s.io.",
  check: ({ spec }, report) => {
    for (const volume of spec.at("volumes").items) {
      if (volume.at("secret").exists) report(volume.at("secret"), "must not be there: use the store's CSI volume");
      for (const source of volume.at("projected", "sources").items) {
        if (source.at("secret").exists) report(source.at("secret"), "must not be there: use the store's CSI volume");
      }
    }
  },
});
