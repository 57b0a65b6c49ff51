import { podRule } from "../../model/rule.ts";
import { variables } from "./environment.ts";

/** The merchant's application isn't among them: it gets tokens alone, and decides on its own TLS. */
const addresses = ["VAULT_ADDR", "BAO_ADDR"];

export const servicesSpeakTls = podRule({
  name: "services-speak-tls",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.7", "4.2.1"],
  description: "Every service must serve and call by TLS with verified certificates.",
  remediation: "Use https addresses, TLS_MODE mutual or server, and no setting that skips verification.",
  check: (pod, report) => {
    for (const at of variables(pod, "TLS_MODE")) {
      if (at.exists && at.text !== "mutual") report(at, "must be mutual");
    }
    for (const at of addresses.flatMap((name) => variables(pod, name))) {
      if (at.exists && !/^https:/.test(at.text ?? "")) report(at, "must be an https address");
    }
    for (const at of variables(pod, "NODE_TLS_REJECT_UNAUTHORIZED")) {
      if (at.text === "0") report(at, "must not be 0: certificates would go unverified");
    }
    for (const at of [...variables(pod, "VAULT_SKIP_VERIFY"), ...variables(pod, "VAULT_TLS_SKIP_VERIFY")]) {
      if (at.exists && at.flag !== false) report(at, "must not be set: certificates would go unverified");
    }
  },
});
