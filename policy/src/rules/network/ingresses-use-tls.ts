import { resourceRule } from "../../model/rule.ts";

export const ingressesUseTls = resourceRule({
  name: "ingresses-use-tls",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.7", "4.2.1"],
  description: "Every Ingress must end TLS for every host that it serves.",
  remediation: "Add a tls entry with the host and the name of its certificate.",
  types: ["kubernetes:networking.k8s.io/v1:Ingress"],
  check: (ingress, report) => {
    const tls = ingress.at("spec", "tls");
    const covered = new Set(tls.items.flatMap((entry) => entry.at("hosts").texts));
    if (tls.items.length === 0) report(tls, "must be set");
    for (const rule of ingress.at("spec", "rules").items) {
      const host = rule.at("host");
      if (host.text === undefined) report(host, "must be set: a rule without a host serves all of them");
      else if (tls.items.length > 0 && !covered.has(host.text)) report(host, "must be among the hosts of tls");
    }
  },
});
