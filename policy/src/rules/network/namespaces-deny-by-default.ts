import { stackRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";
import { networkPolicyTypes, selectsAll } from "./network-policy.ts";

export const namespacesDenyByDefault = stackRule({
  name: "namespaces-deny-by-default",
  level: "mandatory",
  severity: "critical",
  pci: ["1.2.5", "1.3.1", "1.3.2", "1.4.2"],
  cis: ["5.3.2"],
  description: "Every namespace must have a network policy that denies every pod all connections, both ways.",
  remediation: "Add a NetworkPolicy with an empty podSelector, both policyTypes and no allowance.",
  check: (stack, report) => {
    const denied = stack.of(...networkPolicyTypes).filter(deniesAll);
    for (const namespace of stack.of("kubernetes:core/v1:Namespace")) {
      const name = namespace.at("metadata", "name");
      if (name.isUnknown) continue;
      if (!denied.some((policy) => policy.at("metadata", "namespace").text === name.text)) {
        report(name, `must have a policy that denies by default, and ${name.text ?? "the namespace"} has none`);
      }
    }
  },
});

/** Whether a policy denies all, or may do so once it is known. */
function deniesAll(policy: View): boolean {
  const spec = policy.at("spec");
  if (["podSelector", "policyTypes", "ingress", "egress"].some((key) => spec.at(key).isUnknown)) return true;
  const kinds = spec.at("policyTypes").texts;
  return (
    selectsAll(spec.at("podSelector")) &&
    ["Ingress", "Egress"].every((kind) => kinds.includes(kind)) &&
    spec.at("ingress").items.length === 0 &&
    spec.at("egress").items.length === 0
  );
}
