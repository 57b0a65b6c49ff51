import { resourceRule } from "../../model/rule.ts";

export const alertsHaveRunbooks = resourceRule({
  name: "alerts-have-runbooks",
  level: "mandatory",
  severity: "medium",
  pci: ["10.4.1.1", "12.10.1", "12.10.5"],
  description: "Every alert must say how bad it is and name the page that tells what to do.",
  remediation: "Set the label severity, and the annotations summary and runbook_url.",
  types: ["kubernetes:monitoring.coreos.com/v1:PrometheusRule"],
  check: (rules, report) => {
    for (const rule of rules.at("spec", "groups").items.flatMap((group) => group.at("rules").items)) {
      if (!rule.at("alert").exists) continue;
      if (!["critical", "warning", "info"].includes(rule.at("labels", "severity").text ?? "")) {
        report(rule.at("labels", "severity"), "must be critical, warning or info");
      }
      for (const key of ["runbook_url", "summary"]) {
        if (!rule.at("annotations", key).exists) report(rule.at("annotations", key), "must be set");
      }
    }
  },
});
