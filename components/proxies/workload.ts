import { createHash } from "node:crypto";
import { Deployment } from "@pulumi/kubernetes/apps/v1";
import { ConfigMap, Service } from "@pulumi/kubernetes/core/v1";
import { PodDisruptionBudget } from "@pulumi/kubernetes/policy/v1";
import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
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
  /** Pods. */
  readonly replicas: number;
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
  /** A second proxy in the pod, which sees settings and certificate as well. */
  readonly beside?: {
    readonly name: string;
    readonly image: pulumi.Input<string>;
    readonly command: readonly string[];
  };
}

/** The objects of a proxy. */
export interface Workload {
  readonly config: ConfigMap;
  readonly deployment: Deployment;
  readonly service: Service;
  readonly budget: PodDisruptionBudget | undefined;
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
  const selector = { [roleLabel]: part };
  const config = new ConfigMap(name, { metadata, data: args.files }, opts);
  const deployment = new Deployment(
    name,
    {
      metadata,
      spec: {
        replicas: args.replicas,
        selector: { matchLabels: selector },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        template: {
          metadata: { labels, annotations: { ...args.certificate.annotations, ...settingsMark(args.files) } },
          spec: podSpec(args, config),
        },
      },
    },
    opts,
  );
  const service = new Service(
    name,
    {
      // Certificates carry the name.
      metadata: { ...metadata, name: accountName(part) },
      spec: {
        type: "ClusterIP",
        selector,
        ports: args.ports.map((port) => ({ name: port.name, port: port.service, targetPort: port.container })),
      },
    },
    { ...opts, deleteBeforeReplace: true },
  );
  const budget =
    args.replicas < 2
      ? undefined
      : new PodDisruptionBudget(
          name,
          { metadata, spec: { minAvailable: 1, selector: { matchLabels: selector } } },
          opts,
        );
  return { config, deployment, service, budget };
}

function settingsMark(files: WorkloadArgs["files"]): Record<string, pulumi.Output<string>> {
  const digest = pulumi
    .output(files)
    .apply((content) => createHash("sha256").update(sortedJson(content)).digest("hex").slice(0, 16));
  return { "tokenization.io/settings": digest };
}

function podSpec(args: WorkloadArgs, config: ConfigMap): types.input.core.v1.PodSpec {
  const { part, certificate, folders, beside } = args;
  const { requests, limits } = args.resources ?? defaultResources;
  const shared = [{ name: "settings", mountPath: settingsPath, readOnly: true }, ...certificate.volumeMounts];
  const serving = {
    ports: args.ports.map((port) => ({ name: port.name, containerPort: port.container })),
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
        ...(beside === undefined ? serving : {}),
        resources: { requests: { ...requests }, limits: { ...limits } },
        volumeMounts: [...shared, ...folders.map(({ name, path }) => ({ name, mountPath: path }))],
      },
      ...(beside === undefined
        ? []
        : [
            {
              ...common,
              name: beside.name,
              image: beside.image,
              command: [...beside.command],
              ...serving,
              resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { cpu: "200m", memory: "192Mi" } },
              volumeMounts: shared,
            },
          ]),
    ],
    volumes: [
      { name: "settings", configMap: { name: config.metadata.name } },
      ...folders.map(({ name, limit }) => ({ name, emptyDir: { medium: "Memory", sizeLimit: limit } })),
      ...certificate.volumes,
    ],
  };
}
