import type * as pulumi from "@pulumi/pulumi";

/** What the rest of the platform knows of monitoring. */
export interface Monitoring {
  /** Address of Prometheus. */
  readonly prometheusUrl: pulumi.Output<string>;
  /** Address of Alertmanager. */
  readonly alertmanagerUrl: pulumi.Output<string>;
}
