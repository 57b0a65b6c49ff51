import type { Deployment, StatefulSet } from "@pulumi/kubernetes/apps/v1";
import { HorizontalPodAutoscaler } from "@pulumi/kubernetes/autoscaling/v2";
import type * as pulumi from "@pulumi/pulumi";
import type { Autoscaling } from "../stacks/tokenshield-spec";

/** What an autoscaler is made of. */
export interface AutoscalerArgs {
  /** Name, namespace and labels. */
  readonly metadata: {
    readonly name: string;
    readonly namespace: pulumi.Input<string>;
    readonly labels: Readonly<Record<string, string>>;
  };
  /** Whose pods it counts. */
  readonly workload: Deployment | StatefulSet;
  /** The container whose CPU is looked at: without those beside it, which hardly work. */
  readonly container: string;
  /** Fewest pods, where the bounds say less. */
  readonly replicas: number;
  readonly bounds: Autoscaling;
}

/** Has CPU use set the number of a part's pods, within the bounds of the settings. */
export function autoscaler(
  name: string,
  { metadata, workload, container, replicas, bounds }: AutoscalerArgs,
  opts: pulumi.CustomResourceOptions,
): HorizontalPodAutoscaler {
  const { minReplicas, maxReplicas, targetCPUUtilizationPercentage: averageUtilization } = bounds;
  return new HorizontalPodAutoscaler(
    name,
    {
      metadata,
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: workload.kind, name: workload.metadata.name },
        // The spec's `replicas` is the lower bound while this sets the number.
        minReplicas: Math.max(replicas, minReplicas),
        maxReplicas,
        metrics: [
          {
            type: "ContainerResource",
            containerResource: { name: "cpu", container, target: { type: "Utilization", averageUtilization } },
          },
        ],
        behavior: { scaleDown: { stabilizationWindowSeconds: 300 } },
      },
    },
    { ...opts, deleteBeforeReplace: true },
  );
}
