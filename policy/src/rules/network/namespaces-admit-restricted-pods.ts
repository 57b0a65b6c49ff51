import { resourceRule } from "../../model/rule.ts";

const label = "pod-security.kubernetes.io/enforce";

export const namespacesAdmitRestrictedPods = resourceRule({
  name: "namespaces-admit-restricted-pods",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.1", "2.2.6", "7.2.5"],
  cis: ["5.2.1"],
  description: "Every namespace must admit pods of the restricted Pod Security Standard only.",
  remediation: `Label it ${label}: restricted.`,
  types: ["kubernetes:core/v1:Namespace"],
  check: (namespace, report) => {
    const at = namespace.at("metadata", "labels").at(label);
    if (at.text !== "restricted") report(at, "must be restricted");
  },
});
