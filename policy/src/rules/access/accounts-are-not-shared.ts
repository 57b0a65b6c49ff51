import { stackRule } from "../../model/rule.ts";

export const accountsAreNotShared = stackRule({
  name: "accounts-are-not-shared",
  level: "mandatory",
  severity: "high",
  pci: ["7.2.5", "8.2.2", "8.6.1", "A1.1.3"],
  cis: ["5.1.5"],
  description: "No two workloads must run under one service account.",
  remediation: "Give each part an account of its own.",
  check: (stack, report) => {
    const users = new Map<string, string>();
    for (const { owner, spec } of stack.pods) {
      const at = spec.at("serviceAccountName");
      const account = `${owner.at("metadata", "namespace").text ?? ""}/${at.text ?? "default"}`;
      const other = users.get(account);
      if (at.text !== undefined && other !== undefined) report(at, `must not be the account of ${other}, too`);
      users.set(account, owner.resource.name);
    }
  },
});
