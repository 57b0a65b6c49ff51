import { resourceRule } from "../../model/rule.ts";

const allowed = ["kubernetes.io/service-account-token", "kubernetes.io/dockerconfigjson"];

export const secretsAreNotInTheCluster = resourceRule({
  name: "secrets-are-not-in-the-cluster",
  level: "mandatory",
  severity: "high",
  pci: ["3.7.2", "8.3.2", "8.6.2"],
  cis: ["5.4.2"],
  description: "No value must be written to a Secret of the cluster, where it lies beside what it protects.",
  remediation: "Write it to Vault and let the CSI driver deliver it; no secretObjects in a SecretProviderClass.",
  types: ["kubernetes:core/v1:Secret", "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"],
  check: (secret, report) => {
    if (secret.resource.type.endsWith(":SecretProviderClass")) {
      const copies = secret.at("spec", "secretObjects");
      if (copies.items.length > 0) report(copies, "must not be there: it copies values into Secrets");
      const address = secret.at("spec", "parameters", "vaultAddress");
      if (address.exists && !/^https:/.test(address.text ?? "")) report(address, "must be an https address");
      const skipped = secret.at("spec", "parameters", "vaultSkipTLSVerify");
      if (skipped.exists && skipped.flag !== false) report(skipped, "must not be set");
      return;
    }
    if (allowed.includes(secret.at("type").text ?? "")) return;
    for (const key of ["data", "stringData"]) {
      const at = secret.at(key);
      // Marked as a secret as a whole, its fields may not be told.
      if (at.fields.length > 0 || at.text !== undefined) report(at, "must not be there: the value belongs in Vault");
    }
  },
});
