import { podRule } from "../../model/rule.ts";
import { variables } from "./environment.ts";

export const cardsAreEncrypted = podRule({
  name: "cards-are-encrypted",
  level: "mandatory",
  severity: "critical",
  pci: ["3.3.2", "3.5.1", "3.5.1.2", "3.6.1.2"],
  description: "The tokenizer must encrypt card numbers under a wrapped key, and never keep verification codes openly.",
  remediation: "Leave USE_KEK_DEK at true and CVV_FIELDS at refuse or slot.",
  check: (pod, report) => {
    for (const at of variables(pod, "USE_KEK_DEK")) {
      if (at.exists && at.flag !== true) report(at, "must be true");
    }
    for (const at of variables(pod, "CVV_FIELDS")) {
      if (at.exists && !["refuse", "slot"].includes(at.text ?? "")) report(at, "must be refuse or slot");
    }
  },
});
