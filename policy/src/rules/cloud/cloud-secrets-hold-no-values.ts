import { resourceRule } from "../../model/rule.ts";

export const cloudSecretsHoldNoValues = resourceRule({
  name: "cloud-secrets-hold-no-values",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1", "8.3.2", "8.6.2"],
  description:
    "An entry of the cloud's secret store must be encrypted under a key of its own, be kept for a time after its " +
    "deletion, and get its value from its owner, not from the program.",
  remediation: "Set kmsKeyId and recoveryWindowInDays of the entry; let its owner write the value.",
  types: ["aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"],
  check: (secret, report) => {
    if (secret.resource.type !== "aws:secretsmanager/secret:Secret") {
      report(secret, "must not be there: its value would lie in the state");
      return;
    }
    const key = secret.at("kmsKeyId");
    if (!key.isUnknown && !key.exists) report(key, "must name a key: the default one is everybody's in the account");
    if ((secret.at("recoveryWindowInDays").number ?? 30) < 30) {
      report(secret.at("recoveryWindowInDays"), "must be 30");
    }
    const policy = secret.at("policy");
    const open = policy.json
      .at("Statement")
      .items.some(
        (one) => one.at("Effect").text === "Allow" && one.at("Principal").text === "*" && !one.at("Condition").exists,
      );
    if (open) report(policy, "must not allow everybody");
  },
});
