import { resourceRule } from "../../model/rule.ts";

export const secretsAreWriteOnly = resourceRule({
  name: "secrets-are-write-only",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1.2", "8.3.2", "8.6.2"],
  description:
    "A value must be written to Vault by a write-only input, so that neither outputs nor refreshes carry it.",
  remediation: "Use dataJsonWo with dataJsonWoVersion, the generation, instead of dataJson.",
  types: ["vault:kv/secretV2:SecretV2", "vault:kv/secret:Secret", "vault:generic/secret:Secret"],
  check: (secret, report) => {
    if (secret.resource.type !== "vault:kv/secretV2:SecretV2") {
      report(secret, "must be a vault:kv/secretV2:SecretV2, the only type with write-only values");
      return;
    }
    if (secret.at("dataJson").given) report(secret.at("dataJson"), "must not be there: use dataJsonWo");
    if (secret.at("dataJsonWo").given && (secret.at("dataJsonWoVersion").number ?? 0) < 1) {
      report(secret.at("dataJsonWoVersion"), "must be the generation, 1 or more");
    }
  },
});
