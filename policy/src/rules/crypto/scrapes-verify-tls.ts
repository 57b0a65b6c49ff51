import { resourceRule } from "../../model/rule.ts";

export const scrapesVerifyTls = resourceRule({
  name: "scrapes-verify-tls",
  level: "mandatory",
  severity: "medium",
  pci: ["2.2.7", "4.2.1"],
  description: "Metrics must be scraped by TLS with verified certificates.",
  remediation: "Set scheme to https and tlsConfig with the tenant's authority and the server's name.",
  types: ["kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "kubernetes:monitoring.coreos.com/v1:PodMonitor"],
  check: (monitor, report) => {
    const spec = monitor.at("spec");
    for (const endpoint of [...spec.at("endpoints").items, ...spec.at("podMetricsEndpoints").items]) {
      if (endpoint.at("scheme").text !== "https") report(endpoint.at("scheme"), "must be https");
      const skipped = endpoint.at("tlsConfig", "insecureSkipVerify");
      if (skipped.flag === true) report(skipped, "must not be true");
    }
  },
});
