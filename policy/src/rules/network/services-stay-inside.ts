import { resourceRule, textsOf } from "../../model/rule.ts";

export const servicesStayInside = resourceRule({
  name: "services-stay-inside",
  level: "mandatory",
  severity: "critical",
  pci: ["1.3.1", "1.4.2", "1.4.4"],
  description: "No Service but the inbound proxy's must be reachable from outside the cluster.",
  remediation: "Use type ClusterIP; let clients come by the inbound proxy.",
  settings: {
    roles: {
      type: "array",
      items: { type: "string" },
      description: "Roles of pods whose Service may be a LoadBalancer.",
      default: ["inbound"],
    },
  },
  types: ["kubernetes:core/v1:Service", "kubernetes:core/v1:ServicePatch"],
  check: (service, report, config) => {
    const spec = service.at("spec");
    const kind = spec.at("type");
    const role = spec.at("selector").at("tokenization.io/role").text ?? "";
    const outside = ["LoadBalancer", "NodePort"].includes(kind.text ?? "ClusterIP");
    if (outside && !textsOf(config, "roles").includes(role)) report(kind, "must be ClusterIP");
    if (kind.text === "ExternalName") report(kind, "must be ClusterIP: a name of the cluster would lead out of it");
    if (spec.at("externalIPs").items.length > 0) report(spec.at("externalIPs"), "must not be there");
  },
});
