import { stackRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

const filters = [
  "alb.ingress.kubernetes.io/wafv2-acl-arn",
  "nginx.ingress.kubernetes.io/enable-modsecurity",
  "tokenization.io/web-filter",
];

export const publicFrontendsAreFiltered = stackRule({
  name: "public-frontends-are-filtered",
  level: "mandatory",
  severity: "high",
  pci: ["6.4.2"],
  description: "Every frontend that the internet reaches must have a filter of web attacks before it.",
  remediation: "Attach a web ACL to the load balancer, or name the filter in an annotation of the Ingress or Service.",
  check: (stack, report) => {
    const balancers = stack
      .of("kubernetes:core/v1:Service")
      .filter((one) => one.at("spec", "type").text === "LoadBalancer");
    for (const frontend of [...stack.of("kubernetes:networking.k8s.io/v1:Ingress"), ...balancers]) {
      const annotations = frontend.at("metadata", "annotations");
      if (!filters.some((name) => filtered(annotations.at(name)))) {
        report(annotations, "must name the filter of web attacks before the frontend");
      }
    }
    const attached = stack.of("aws:wafv2/webAclAssociation:WebAclAssociation");
    for (const balancer of stack.of("aws:lb/loadBalancer:LoadBalancer")) {
      if (balancer.at("internal").flag === true || balancer.at("loadBalancerType").text === "network") continue;
      const own = attached.some((one) => one.resource.dependencies.includes(balancer.resource.urn));
      if (!own) report(balancer, "must have a WebAclAssociation");
    }
  },
});

/** Whether an annotation names a filter, or may do so once it is known. */
function filtered(annotation: View): boolean {
  if (annotation.isUnknown) return true;
  return annotation.exists && annotation.flag !== false && annotation.text !== "";
}
