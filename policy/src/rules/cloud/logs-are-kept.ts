import { numberOf, resourceRule } from "../../model/rule.ts";

export const logsAreKept = resourceRule({
  name: "logs-are-kept",
  level: "mandatory",
  severity: "high",
  pci: ["10.3.2", "10.5.1"],
  description: "Every log must be kept for a year at least, encrypted under a key of the company's own.",
  remediation: "Set retentionInDays to 365 or more, and kmsKeyId.",
  settings: { days: { type: "number", description: "Days at least.", default: 365 } },
  types: ["aws:cloudwatch/logGroup:LogGroup"],
  check: (log, report, config) => {
    const least = numberOf(config, "days");
    const days = log.at("retentionInDays");
    // 0 and absent mean that it is kept for good.
    if ((days.number ?? 0) !== 0 && (days.number ?? 0) < least) report(days, `must be at least ${least}`);
    if (!log.at("kmsKeyId").exists) report(log.at("kmsKeyId"), "must be set");
    if (log.at("skipDestroy").flag !== true) report(log.at("skipDestroy"), "must be true: logs outlive the stack");
  },
});
