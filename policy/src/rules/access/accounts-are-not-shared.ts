import { stackRule } from "../../model/rule.ts";

export const accountsAreNotShared = stackRule({
  name: "accounts-are-not-shared",
  level: "mandatory",
  severity: "high",
  pci: ["7.2.5", "8.2.2", "8.6.1", "A1.1.3"],
  cis: ["5.1.5"],
  description: "No two parts must run under one service account.",
  remediation: "Give each part an account of its own.",
  check: (stack, report) => {
    const users = new Map<string, { readonly name: string; readonly part: string | undefined }>();
    for (const { owner, metadata, spec } of stack.pods) {
      const at = spec.at("serviceAccountName");
      const account = `${owner.at("metadata", "namespace").text ?? ""}/${at.text ?? "default"}`;
      const part = metadata.at("labels", "tokenization.io/role").text;
      const other = users.get(account);
      // Workloads of one part, such as the rotator's Job and its CronJob, are one user of the account.
      const same = part !== undefined && part === other?.part;
      if (at.text !== undefined && other !== undefined && !same) {
        report(at, `must not be the account of ${other.name}, too`);
      }
      users.set(account, { name: owner.resource.name, part });
    }
  },
});
