import { podRule } from "../../model/rule.ts";

export const podsUseAnAccountOfTheirOwn = podRule({
  name: "pods-use-an-account-of-their-own",
  level: "mandatory",
  severity: "high",
  pci: ["7.2.5", "8.6.1"],
  cis: ["5.1.5"],
  description: "Every pod must run under a service account that is named, and not under the namespace's default one.",
  remediation: "Give the part a ServiceAccount and name it in serviceAccountName.",
  check: ({ spec }, report) => {
    const at = spec.at("serviceAccountName");
    if ((at.text ?? "default") === "default") report(at, "must name an account other than default");
  },
});
