import { Deployment } from "@pulumi/kubernetes/apps/v1";
import * as pulumi from "@pulumi/pulumi";
import { accountName, type LabelArgs, labelsOf, roleLabel } from "../parts";
import { exporterPod, type RotatorPodArgs } from "./pod";

/** Arguments of `LedgerExporter`. */
export interface LedgerExporterArgs extends Omit<RotatorPodArgs, "labels"> {
  /** Namespace of the tenant. A change replaces the pods. */
  readonly namespace: pulumi.Input<string>;
  /** ConfigMap with the rotator's plan. */
  readonly plan: pulumi.Input<string>;
  /** Labels. */
  readonly labels: LabelArgs;
}

/**
 * Tells Prometheus what the ledgers of a tenant say: ages, due times, phases and failures of its rotations. The
 * rotator's own runs last seconds, so that no scrape meets them. One pod is enough: while it is replaced nothing is lost
 * but a minute of sight.
 */
export class LedgerExporter extends pulumi.ComponentResource {
  /** Its pod. */
  readonly workload: Deployment;

  constructor(name: string, args: LedgerExporterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:rotation:LedgerExporter", name, {}, opts);
    const labels = labelsOf({ ...args.labels, part: "ledgers" });
    this.workload = new Deployment(
      name,
      {
        metadata: { name: accountName("ledgers"), namespace: args.namespace, labels },
        spec: {
          replicas: 1,
          selector: { matchLabels: { [roleLabel]: "ledgers" } },
          strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
          template: exporterPod({ ...args, labels }, args.plan),
        },
      },
      { parent: this, deleteBeforeReplace: true },
    );
    this.registerOutputs({ workload: this.workload.metadata.name });
  }
}
