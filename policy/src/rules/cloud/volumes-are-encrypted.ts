import { resourceRule } from "../../model/rule.ts";

export const volumesAreEncrypted = resourceRule({
  name: "volumes-are-encrypted",
  level: "mandatory",
  severity: "high",
  pci: ["3.5.1.2", "9.4.1"],
  description:
    "Volumes of the cloud must be encrypted, besides the fields that are encrypted on them, and be kept when released.",
  remediation: "Set parameters.encrypted to true and reclaimPolicy to Retain.",
  types: ["kubernetes:storage.k8s.io/v1:StorageClass"],
  check: (storage, report) => {
    if (/^(ebs|efs)\.csi\.aws\.com$/.test(storage.at("provisioner").text ?? "")) {
      const encrypted = storage.at("parameters", "encrypted");
      if (encrypted.flag !== true) report(encrypted, "must be true");
    }
    if (storage.at("reclaimPolicy").text !== "Retain") report(storage.at("reclaimPolicy"), "must be Retain");
  },
});
