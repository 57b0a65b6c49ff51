import { resourceRule } from "../../model/rule.ts";

export const cloudKeysRotate = resourceRule({
  name: "cloud-keys-rotate",
  level: "mandatory",
  severity: "high",
  pci: ["3.6.1", "3.7.4", "3.7.5"],
  description:
    "Every key of the cloud must rotate each year, stay in its module, and be kept for a time after its deletion.",
  remediation: "Set enableKeyRotation to true and deletionWindowInDays to 30.",
  types: ["aws:kms/key:Key"],
  check: (key, report) => {
    if (key.at("enableKeyRotation").flag !== true) report(key.at("enableKeyRotation"), "must be true");
    if ((key.at("rotationPeriodInDays").number ?? 365) > 366)
      report(key.at("rotationPeriodInDays"), "must be at most 366");
    if ((key.at("deletionWindowInDays").number ?? 30) < 30) report(key.at("deletionWindowInDays"), "must be 30");
    if (key.at("bypassPolicyLockoutSafetyCheck").flag === true) {
      report(key.at("bypassPolicyLockoutSafetyCheck"), "must not be true");
    }
    const statements = key.at("policy").json.at("Statement").items;
    const open = statements.some(
      (one) => one.at("Effect").text === "Allow" && one.at("Principal").text === "*" && !one.at("Condition").exists,
    );
    if (open) report(key.at("policy"), "must not allow everybody");
  },
});
