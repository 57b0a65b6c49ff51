import { stackRule } from "../../model/rule.ts";

export const environmentsAreKeptApart = stackRule({
  name: "environments-are-kept-apart",
  level: "mandatory",
  severity: "high",
  pci: ["3.6.1.1", "6.5.3", "6.5.4"],
  description: "A stack must not read another stack, and its tenants' namespaces must carry its name.",
  remediation: "Remove the StackReference; let namespaces begin with tokenshield-<environment>.",
  check: (stack, report) => {
    for (const reference of stack.of("pulumi:pulumi:StackReference")) {
      report(reference, "must not be there: other environments' outputs are none of this stack's business");
    }
    for (const namespace of stack.of("kubernetes:core/v1:Namespace")) {
      const tenant = [...stack.above(namespace)].some(({ type }) => type === "tokenshield:index:TokenShield");
      const at = namespace.at("metadata", "name");
      if (tenant && at.text !== undefined && !at.text.split("-").includes(stack.stack.name)) {
        report(at, `must contain the name ${stack.stack.name}`);
      }
    }
  },
});
