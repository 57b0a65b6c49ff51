import type { JsonMap } from "../../protocol/value.ts";
import { nameOf, objectsAt, textAt } from "../api/object.ts";
import { endpointSlices, ready, waiting } from "./rule.ts";
import type { Observation, Progress, ReadinessRule } from "./rule.ts";

/** Endpoints that don't change for this long, in milliseconds, count as settled (the real provider's figure). */
const settled = 10_000;

/**
 * A Service is ready when every endpoint it selects is ready and, for a load balancer, an address is assigned. One
 * without a selector, without a cluster address or with an external name is ready at once; one that selects no Pod at
 * all is ready after 10 seconds, since its Pods may come later.
 */
export const serviceRule: ReadinessRule = {
  watches: { endpointSlices },
  settles: true,
  assess(observation): Progress {
    const { object, waited } = observation;
    const type = textAt(object, "spec", "type");
    if (type === "LoadBalancer" && objectsAt(object, "status", "loadBalancer", "ingress").length === 0) {
      const reason = "Service was not allocated an IP address; does your cloud provider support this?";
      return waiting("Waiting for an address of the load balancer", [reason]);
    }
    const selector = object["spec"] === undefined ? {} : ((object["spec"] as JsonMap)["selector"] ?? {});
    const selectsPods = Object.keys(selector as JsonMap).length > 0;
    if (!selectsPods || type === "ExternalName" || textAt(object, "spec", "clusterIP") === "None") {
      return ready("Service needs no Pods");
    }
    const endpoints = endpointsOf(observation, nameOf(object));
    const pending = endpoints.filter((endpoint) => !isReady(endpoint)).length;
    if (pending > 0) {
      const reason = `${pending} of the ${endpoints.length} Pods that the Service selects are not ready`;
      return waiting(`Waiting for Pods behind the Service (${endpoints.length - pending}/${endpoints.length})`, [
        reason,
      ]);
    }
    if (endpoints.length === 0 && waited < settled) {
      const reason = "Service does not target any Pods; '.spec.selector' may not match labels on any Pods";
      return waiting("Finding Pods to direct traffic to", [reason]);
    }
    return ready("Service is ready");
  },
};

function endpointsOf({ related }: Observation, service: string): readonly JsonMap[] {
  return (related["endpointSlices"] ?? [])
    .filter((slice) => textAt(slice, "metadata", "labels", "kubernetes.io/service-name") === service)
    .flatMap((slice) => objectsAt(slice, "endpoints"));
}

/** A missing condition means ready (`discovery.k8s.io/v1`); a terminating endpoint is on its way out. */
function isReady(endpoint: JsonMap): boolean {
  const conditions = (endpoint["conditions"] ?? {}) as JsonMap;
  return conditions["ready"] !== false || conditions["terminating"] === true;
}

/**
 * An Ingress is ready when its controller has written an address, and each Service that it names has endpoints, or had
 * 10 seconds to get some.
 */
export const ingressRule: ReadinessRule = {
  watches: { endpointSlices },
  settles: true,
  assess(observation): Progress {
    const { object, waited } = observation;
    if (objectsAt(object, "status", "loadBalancer", "ingress").length === 0) {
      const reason = "Ingress .status.loadBalancer field was not updated with a hostname or an IP address";
      return waiting("Waiting for an address of the Ingress", [reason]);
    }
    const missing = backends(object).filter((service) => endpointsOf(observation, service).length === 0);
    return missing.length > 0 && waited < settled
      ? waiting(`Waiting for Pods behind ${missing.join(", ")}`, [`no endpoints for: ${missing.join(", ")}`])
      : ready("Ingress is ready");
  },
};

function backends(ingress: JsonMap): readonly string[] {
  const paths = objectsAt(ingress, "spec", "rules").flatMap((rule) => objectsAt(rule, "http", "paths"));
  const names = paths.map((path) => textAt(path, "backend", "service", "name"));
  return [...new Set(names.filter((name) => name !== ""))];
}
