import { podRule } from "../../model/rule.ts";

export const rootFilesystemsAreReadOnly = podRule({
  name: "root-filesystems-are-read-only",
  level: "mandatory",
  severity: "high",
  pci: ["10.3.2", "11.5.2"],
  description: "The root file system of every container must be read-only, so that nothing can be changed unnoticed.",
  remediation: "Set readOnlyRootFilesystem to true; give what is written an emptyDir of its own.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      const at = view.at("securityContext", "readOnlyRootFilesystem");
      if (at.flag !== true) report(at, "must be true");
    }
  },
});
