import { resourceRule } from "../../model/rule.ts";

export const certificatesAreInventoried = resourceRule({
  name: "certificates-are-inventoried",
  level: "mandatory",
  severity: "medium",
  pci: ["4.2.1.1", "12.3.3"],
  description: "Every certificate must name its owner, its issuer, how long it lasts and when it is renewed.",
  remediation: "Set the label tokenization.io/owner or component, issuerRef, duration, renewBefore and a strong key.",
  types: ["kubernetes:cert-manager.io/v1:Certificate"],
  check: (certificate, report) => {
    const labels = certificate.at("metadata", "labels");
    if (!labels.at("component").exists && !labels.at("tokenization.io/owner").exists) {
      report(labels, "must name the owner by component or tokenization.io/owner");
    }
    const spec = certificate.at("spec");
    for (const path of ["issuerRef.name", "duration", "renewBefore"]) {
      if (!spec.in(path).exists) report(spec.in(path), "must be set");
    }
    const algorithm = spec.at("privateKey", "algorithm");
    const size = spec.at("privateKey", "size");
    const rsa = !algorithm.isUnknown && (algorithm.text ?? "RSA") === "RSA";
    if (rsa && (size.number ?? 2048) < 3072) report(size, "must be at least 3072");
    if (spec.at("privateKey", "rotationPolicy").text !== "Always") {
      report(spec.at("privateKey", "rotationPolicy"), "must be Always");
    }
  },
});
