import type * as pulumi from "@pulumi/pulumi";
import type { EgressProxy } from "./egress-proxy";
import type { IngressProxy } from "./ingress-proxy";

/** The proxies of a tenant; what its settings turn off is absent. */
export interface Proxies {
  readonly ingress: IngressProxy | undefined;
  readonly egress: EgressProxy | undefined;
}

/** What other teams are told of the proxies; empty texts stand for a proxy that is absent. */
export interface ProxyAddresses {
  /** Where clients send card numbers, `https://…`. */
  readonly ingressUrl: pulumi.Input<string>;
  /** Where the application sends its payments, `host:port`. */
  readonly egressAddress: pulumi.Input<string>;
  /** What the application trusts on that way, PEM. */
  readonly egressCaBundle: pulumi.Input<string>;
}

/**
 * The addresses of a tenant's proxies.
 * @param egressCaBundle what applications trust on their way through the egress proxy, PEM
 */
export function addressesOf({ ingress, egress }: Proxies, egressCaBundle: pulumi.Input<string>): ProxyAddresses {
  return {
    ingressUrl: ingress?.url ?? "",
    egressAddress: egress?.address ?? "",
    egressCaBundle,
  };
}
