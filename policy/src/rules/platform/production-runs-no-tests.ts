import { resourceRule } from "../../model/rule.ts";
import { templateKinds } from "../../model/pod-template.ts";
import { stackOf } from "../../model/resource.ts";

export const productionRunsNoTests = resourceRule({
  name: "production-runs-no-tests",
  level: "mandatory",
  severity: "high",
  pci: ["6.5.3", "6.5.5", "6.5.6"],
  description: "Production must run no job that writes test data, and call no sandbox of a gateway.",
  remediation: "Remove the job; name the gateway's live address.",
  types: templateKinds,
  check: (workload, report) => {
    if (stackOf(workload.resource.urn) !== "production") return;
    const name = workload.at("metadata", "name");
    if (/(^|-)(seed|fixtures?|test-?data|load-?test|demo)(-|$)/.test(name.text ?? workload.resource.name)) {
      report(name, "must not be a job of test data");
    }
    for (const at of workload.allTexts()) {
      if (/:\/\/(sandbox|test)[.-]/.test(at.text ?? "")) report(at, "must not name a sandbox");
    }
  },
});
