import { resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

export const cloudRightsAreNarrow = resourceRule({
  name: "cloud-rights-are-narrow",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "7.2.2", "7.2.5"],
  description: "A policy of the cloud must name its actions and resources; none must stand for all.",
  remediation: "List the actions that the part calls, and the ARNs that it calls them on.",
  types: ["aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy", "aws:iam/userPolicy:UserPolicy"],
  check: (policy, report) => {
    const at = policy.at("policy");
    for (const statement of at.json.at("Statement").items) {
      if (statement.at("Effect").text !== "Allow") continue;
      const action = all(statement.at("Action")).find((one) => /^\*$|:\*$/.test(one));
      if (action !== undefined) report(at, `must name actions, and allows ${action}`);
      if (all(statement.at("Resource")).includes("*")) report(at, "must name resources, and allows all of them");
      if (statement.at("NotAction").exists || statement.at("NotResource").exists) {
        report(at, "must say what is allowed and not what isn't");
      }
    }
  },
});

function all(view: View): readonly string[] {
  return view.text === undefined ? view.texts : [view.text];
}
