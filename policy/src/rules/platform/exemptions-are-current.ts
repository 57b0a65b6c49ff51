import { type Exemption, isExpired } from "../../model/exemption.ts";
import { type StackRule, stackRule } from "../../model/rule.ts";

/**
 * The rule that watches over the exemptions themselves.
 * @param exemptions of all stacks
 * @param today as `2026-01-31`
 */
export function exemptionsAreCurrent(exemptions: readonly Exemption[], today: string): StackRule {
  return stackRule({
    name: "exemptions-are-current",
    level: "mandatory",
    severity: "high",
    pci: ["12.3.1", "12.3.2"],
    description: "No exemption must outlive the day to which somebody answered for it.",
    remediation: "Fix what it covers, or have its owner decide anew and set another day in policy/exemptions.json.",
    check: (stack, report) => {
      for (const exemption of exemptions) {
        const ours = exemption.stack === "*" || exemption.stack === stack.stack.name;
        if (!ours || !isExpired(exemption, today) || stack.itself === undefined) continue;
        const { rule, resource, owner, expires } = exemption;
        report(
          stack.itself,
          `must be renewed by ${owner}: the exemption of ${resource} from ${rule} ended on ${expires}`,
        );
      }
    },
  });
}
