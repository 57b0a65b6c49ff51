import type * as pulumi from "@pulumi/pulumi";

/** What the rest of the platform knows of a tenant's proxies. */
export interface Proxies {
  /** Where clients send card numbers, `https://…`. */
  readonly ingressUrl: pulumi.Output<string>;
  /** Where the application sends its payments, `host:port`. */
  readonly egressAddress: pulumi.Output<string>;
}
