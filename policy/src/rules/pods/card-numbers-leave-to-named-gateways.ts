import { podRule } from "../../model/rule.ts";
import { variables } from "./environment.ts";

export const cardNumbersLeaveToNamedGateways = podRule({
  name: "card-numbers-leave-to-named-gateways",
  level: "mandatory",
  severity: "critical",
  pci: ["1.3.2", "3.4.1", "7.2.1"],
  description:
    "Card numbers must leave only to gateways named by https origins, and be revealed on named routes alone.",
  remediation: "Name hosts in EGRESS_DESTINATIONS, REVEAL_ROUTES and CORS_ALLOWED_ORIGINS; no entry may stand for all.",
  check: (pod, report) => {
    for (const at of variables(pod, "EGRESS_DESTINATIONS")) {
      const wrong = entries(at.text).find((entry) => !/^https:\/\/(\*\.[a-z0-9-]+\.)?[a-z0-9-]/i.test(entry));
      if (wrong !== undefined) report(at, `must list https origins, and has ${wrong}`);
    }
    for (const at of variables(pod, "CORS_ALLOWED_ORIGINS")) {
      if (entries(at.text).includes("*")) report(at, "must not allow every origin");
    }
    for (const at of variables(pod, "REVEAL_ROUTES")) {
      const wide = entries(at.text).find((entry) => /\s\/\*?$/.test(entry));
      if (wide !== undefined) report(at, `must name routes, and has ${wide}`);
    }
  },
});

function entries(text: string | undefined): string[] {
  return (text ?? "").split(",").flatMap((entry) => (entry.trim() === "" ? [] : [entry.trim()]));
}
