import { createHash } from "node:crypto";
import { Deployment, StatefulSet } from "@pulumi/kubernetes/apps/v1";
import { ConfigMap, Service } from "@pulumi/kubernetes/core/v1";
import type { HorizontalPodAutoscaler } from "@pulumi/kubernetes/autoscaling/v2";
import { PodDisruptionBudget } from "@pulumi/kubernetes/policy/v1";
import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Autoscaling } from "../../stacks/tokenshield-spec";
import { autoscaler } from "../autoscaler";
import type { CertificatePod } from "../certificates/agent-certificate";
import type { ArgumentProblem } from "../checks";
import { accountName, type LabelArgs, labelsOf, roleLabel } from "../parts";
import { restrictedContainer, restrictedPod } from "../restricted";
import { sortedJson } from "@tokenshield/rotation";
import { settingsPath, stopSeconds } from "./settings";

/** CPU and memory of a pod's proxy. */
export interface ProxyResources {
  readonly requests: { readonly cpu: string; readonly memory: string };
  readonly limits: { readonly cpu: string; readonly memory: string };
}

/** What both proxies are told alike. */
export interface ProxyArgs {
  /** Namespace of the tenant. A change replaces everything. */
  readonly namespace: pulumi.Input<string>;
  /** The proxy's image. */
  readonly image: pulumi.Input<string>;
  /** Pods; the lower bound where an autoscaler sets their number. */
  readonly replicas: number;
  /** Bounds of the autoscaler. Default: none. */
  readonly autoscaling?: Autoscaling | undefined;
  /** CPU and memory of one pod. Default: 100m and 128Mi, at most 500m and 512Mi. */
  readonly resources?: ProxyResources | undefined;
  /** The certificate that the proxy shows and calls by. */
  readonly certificate: CertificatePod;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** What differs between the two. */
export interface WorkloadArgs extends ProxyArgs {
  readonly part: "inbound" | "outbound";
  /** Files below `settingsPath`; a change of any rolls the pods. */
  readonly files: Readonly<Record<string, pulumi.Input<string>>>;
  /** Ports of the pod, and those of its Service that lead there. */
  readonly ports: readonly { readonly name: string; readonly container: number; readonly service: number }[];
  readonly readiness: types.input.core.v1.Probe;
  /** Folders in memory that the proxy writes to, with their limits. */
  readonly folders: readonly { readonly name: string; readonly path: string; readonly limit: string }[];
  /** What runs before the certificate agent. */
  readonly before?: readonly types.input.core.v1.Container[];
  /** Further containers. */
  readonly beside?: readonly Beside[];
  /** A port by which the pods speak to each other, each by a name and an address of its own. Default: they don't. */
  readonly peersPort?: number | undefined;
}

/** The most pods that a proxy may have. */
export const mostPods = ({ replicas, autoscaling }: Pick<ProxyArgs, "replicas" | "autoscaling">): number =>
  autoscaling?.enabled === true ? Math.max(replicas, autoscaling.maxReplicas) : replicas;

/** The host name of a pod that has a name of its own, and the name of the Service that leads to it alone. */
export const podName = (part: "inbound" | "outbound", ordinal: number): string => `${accountName(part)}-${ordinal}`;

/** A container beside the proxy, which sees settings and certificate as well. */
export interface Beside {
  readonly name: string;
  readonly image: pulumi.Input<string>;
  readonly command: readonly string[];
  readonly resources: ProxyResources;
  /** Ports of its own, which no Service leads to; `served`: those of the pod, whose readiness is its own. */
  readonly ports: "served" | readonly { readonly name: string; readonly container: number }[];
  readonly volumeMounts?: readonly types.input.core.v1.VolumeMount[];
}

/** The objects of a proxy. */
export interface Workload {
  readonly config: ConfigMap;
  readonly workload: Deployment | StatefulSet;
  readonly service: Service;
  readonly budget: PodDisruptionBudget | undefined;
  /** Sets the number of pods, where the settings ask for it. */
  readonly autoscaler: HorizontalPodAutoscaler | undefined;
}

const defaultResources: ProxyResources = {
  requests: { cpu: "100m", memory: "128Mi" },
  limits: { cpu: "500m", memory: "512Mi" },
};

/** What is wrong in the arguments that both proxies have. */
export function* proxyProblems({ replicas }: Pick<ProxyArgs, "replicas">): Generator<ArgumentProblem> {
  if (!Number.isInteger(replicas) || replicas < 1) {
    yield { propertyPath: "replicas", reason: `expected at least 1, given ${replicas}` };
  }
}

/** The pods of a proxy, their settings, the Service that leads to them and what keeps one of them up. */
export function makeWorkload(name: string, args: WorkloadArgs, opts: pulumi.CustomResourceOptions): Workload {
  const { part, namespace } = args;
  const labels = labelsOf({ ...args.labels, part });
  const metadata = { namespace, labels };
  // Named, so that a stack whose state was lost finds them again and doesn't make others beside them.
  const known = { ...metadata, name: accountName(part) };
  const fixed = { ...opts, deleteBeforeReplace: true };
  const selector = { [roleLabel]: part };
  const config = new ConfigMap(name, { metadata, data: args.files }, opts);
  const spec = {
    ...(args.autoscaling?.enabled === true ? {} : { replicas: args.replicas }),
    selector: { matchLabels: selector },
    template: {
      metadata: { labels, annotations: { ...args.certificate.annotations, ...settingsMark(args.files) } },
      spec: podSpec(args, config),
    },
  };
  const workload =
    args.peersPort === undefined
      ? new Deployment(
          name,
          {
            metadata: known,
            spec: { ...spec, strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } },
          },
          fixed,
        )
      : named(name, args, args.peersPort, spec, opts);
  const service = new Service(
    name,
    {
      // Certificates carry the name.
      metadata: known,
      spec: {
        type: "ClusterIP",
        selector,
        ports: args.ports.map((port) => ({ name: port.name, port: port.service, targetPort: port.container })),
      },
    },
    fixed,
  );
  const budget =
    fewestPods(args) < 2
      ? undefined
      : new PodDisruptionBudget(
          name,
          { metadata: known, spec: { minAvailable: 1, selector: { matchLabels: selector } } },
          fixed,
        );
  const { replicas, autoscaling: bounds } = args;
  const scaler =
    bounds?.enabled === true
      ? autoscaler(name, { metadata: known, workload, container: "proxy", replicas, bounds }, opts)
      : undefined;
  return { config, workload, service, budget, autoscaler: scaler };
}

/**
 * Pods with names of their own, and for each a Service that leads to it alone: its address is there before the pod is and
 * outlives it, as HAProxy resolves the names of its peers once, when it starts.
 */
function named(
  name: string,
  args: WorkloadArgs,
  port: number,
  spec: Pick<types.input.apps.v1.StatefulSetSpec, "replicas" | "selector" | "template">,
  opts: pulumi.CustomResourceOptions,
): StatefulSet {
  const { part, namespace } = args;
  const labels = labelsOf({ ...args.labels, part });
  const ports = [{ name: "peers", port, targetPort: port }];
  const services = Array.from({ length: mostPods(args) }, (_, ordinal) => podName(part, ordinal)).map(
    (pod, ordinal) =>
      new Service(
        `${name}-${ordinal}`,
        {
          metadata: { namespace, labels, name: pod },
          spec: {
            type: "ClusterIP",
            selector: { [roleLabel]: part, "statefulset.kubernetes.io/pod-name": pod },
            // What a pod that isn't ready yet hears of the others it begins with.
            publishNotReadyAddresses: true,
            ports,
          },
        },
        { ...opts, deleteBeforeReplace: true },
      ),
  );
  return new StatefulSet(
    name,
    {
      // Pods are named by it, and the Services know them by these names.
      metadata: { namespace, labels, name: accountName(part) },
      spec: {
        ...spec,
        serviceName: accountName(part),
        podManagementPolicy: "Parallel",
        updateStrategy: { type: "RollingUpdate" },
      },
    },
    { ...opts, deleteBeforeReplace: true, dependsOn: [...dependenciesOf(opts), ...services] },
  );
}

function dependenciesOf({ dependsOn }: pulumi.CustomResourceOptions): pulumi.Input<pulumi.Resource>[] {
  if (dependsOn === undefined) return [];
  return Array.isArray(dependsOn) ? dependsOn : [dependsOn as pulumi.Input<pulumi.Resource>];
}

const fewestPods = ({ replicas, autoscaling }: Pick<ProxyArgs, "replicas" | "autoscaling">): number =>
  autoscaling?.enabled === true ? Math.max(replicas, autoscaling.minReplicas) : replicas;

function settingsMark(files: WorkloadArgs["files"]): Record<string, pulumi.Output<string>> {
  const digest = pulumi
    .output(files)
    .apply((content) => createHash("sha256").update(sortedJson(content)).digest("hex").slice(0, 16));
  return { "tokenization.io/settings": digest };
}

function podSpec(args: WorkloadArgs, config: ConfigMap): types.input.core.v1.PodSpec {
  const { part, certificate, folders, beside = [] } = args;
  const { requests, limits } = args.resources ?? defaultResources;
  const shared = [{ name: "settings", mountPath: settingsPath, readOnly: true }, ...certificate.volumeMounts];
  const serving = {
    ports: containerPorts(args.ports),
    readinessProbe: args.readiness,
  };
  const common = {
    securityContext: restrictedContainer,
    // Until its address is gone everywhere, the pod goes on serving.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
  };
  return {
    serviceAccountName: accountName(part),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: stopSeconds + 15,
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: { [roleLabel]: part } },
      },
    ],
    initContainers: [...(args.before ?? []), certificate.initContainer],
    containers: [
      {
        ...common,
        name: "proxy",
        image: args.image,
        ...(beside.some(({ ports }) => ports === "served") ? {} : serving),
        resources: { requests: { ...requests }, limits: { ...limits } },
        volumeMounts: [...shared, ...folders.map(({ name, path }) => ({ name, mountPath: path }))],
      },
      ...beside.map(({ name, image, command, ports, resources, volumeMounts = [] }) => ({
        ...common,
        name,
        image,
        command: [...command],
        ...(ports === "served" ? serving : { ports: containerPorts(ports) }),
        resources: { requests: { ...resources.requests }, limits: { ...resources.limits } },
        volumeMounts: [...shared, ...volumeMounts],
      })),
    ],
    volumes: [
      { name: "settings", configMap: { name: config.metadata.name } },
      ...folders.map(({ name, limit }) => ({ name, emptyDir: { medium: "Memory", sizeLimit: limit } })),
      ...certificate.volumes,
    ],
  };
}

const containerPorts = (
  ports: readonly { readonly name: string; readonly container: number }[],
): types.input.core.v1.ContainerPort[] => ports.map(({ name, container }) => ({ name, containerPort: container }));
