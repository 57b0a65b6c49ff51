import { stackRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

const routes = [
  "kubernetes:networking.k8s.io/v1:Ingress",
  "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute",
  "kubernetes:gateway.networking.k8s.io/v1:TLSRoute",
] as const;
const privatePorts: ReadonlySet<number> = new Set([3306, 33060, 33061, 8090, 1344, 9104]);
const privateRoles: readonly string[] = ["database", "tokenizer", "rotator", "backup"];

export const storesAreNotPublished = stackRule({
  name: "stores-are-not-published",
  level: "mandatory",
  severity: "critical",
  pci: ["1.4.4", "2.2.7"],
  description: "No route from outside must lead to the database, the tokenizer or the management port.",
  remediation: "Remove the backend; the inbound proxy alone takes requests from outside.",
  check: (stack, report) => {
    const services = stack.of("kubernetes:core/v1:Service");
    for (const route of stack.of(...routes)) {
      const namespace = route.at("metadata", "namespace").text;
      for (const { name, port } of backends(route)) {
        if (port.number !== undefined && privatePorts.has(port.number)) {
          report(port, `must not be ${port.number}, a port of stores and management`);
        }
        const service = services.find(
          (one) => one.at("metadata", "name").text === name.text && one.at("metadata", "namespace").text === namespace,
        );
        const role = service?.at("spec", "selector").at("tokenization.io/role").text ?? "";
        if (privateRoles.includes(role)) report(name, `must not lead to ${role}`);
      }
    }
  },
});

interface Backend {
  readonly name: View;
  readonly port: View;
}

function backends(route: View): Backend[] {
  const spec = route.at("spec");
  const paths = spec.at("rules").items.flatMap((rule) => rule.at("http", "paths").items);
  const ofIngress = [spec.at("defaultBackend"), ...paths.map((path) => path.at("backend"))]
    .map((backend) => backend.at("service"))
    .map((service) => ({ name: service.at("name"), port: service.at("port", "number") }));
  const ofRoute = spec
    .at("rules")
    .items.flatMap((rule) => rule.at("backendRefs").items)
    .map((backend) => ({ name: backend.at("name"), port: backend.at("port") }));
  return [...ofIngress, ...ofRoute];
}
