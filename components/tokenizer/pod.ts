import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { TokenShieldSpec } from "../../stacks/tokenshield-spec";
import type { CertificatePod } from "../certificates/agent-certificate";
import { ports } from "../parts";
import { restrictedContainer, restrictedPod } from "../restricted";
import type { SecretsMount } from "../secrets/secret-files";
import { databasePath, stopSeconds } from "./environment";

/** What a tokenizer pod is made of. */
export interface PodArgs {
  readonly image: pulumi.Input<string>;
  readonly account: pulumi.Input<string>;
  readonly environment: Readonly<Record<string, pulumi.Input<string>>>;
  readonly resources: TokenShieldSpec["tokenizer"]["resources"];
  readonly certificate: CertificatePod;
  readonly secrets: SecretsMount;
  /** The ConfigMap with the authorities of the database. */
  readonly database: pulumi.Input<string>;
  /** Whether something listens for the inbound proxy. */
  readonly inbound: "served" | "off";
  readonly labels: Readonly<Record<string, string>>;
  /** The labels that tell these pods from others. */
  readonly selector: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, pulumi.Input<string>>>;
}

/** How long a pod that ends goes on serving: until proxies and kube-proxy have heard of it, in seconds. */
const farewellSeconds = 5;
const closingSeconds = 5;

/** The ports of a pod and of its Service, by name. */
export function portsOf(inbound: "served" | "off"): Readonly<Record<string, number>> {
  return {
    ...(inbound === "served" ? { http: ports.tokenizer } : {}),
    icap: ports.icap,
    api: ports.management,
  };
}

/** The template of the tokenizer's pods. */
export function podTemplate(args: PodArgs): types.input.core.v1.PodTemplateSpec {
  const { certificate, secrets } = args;
  const database = { name: "database", mountPath: databasePath, readOnly: true };
  return {
    metadata: {
      labels: args.labels,
      annotations: {
        "kubectl.kubernetes.io/default-container": "tokenizer",
        ...certificate.annotations,
        ...args.annotations,
      },
    },
    spec: {
      serviceAccountName: args.account,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: restrictedPod,
      terminationGracePeriodSeconds: farewellSeconds + stopSeconds + closingSeconds,
      topologySpreadConstraints: ["kubernetes.io/hostname", "topology.kubernetes.io/zone"].map((topologyKey) => ({
        topologyKey,
        maxSkew: 1,
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: args.selector },
        matchLabelKeys: ["pod-template-hash"],
      })),
      initContainers: [certificate.initContainer],
      containers: [
        {
          name: "tokenizer",
          image: args.image,
          env: Object.entries(args.environment).map(([name, value]) => ({ name, value })),
          ports: Object.entries(portsOf(args.inbound)).map(([name, containerPort]) => ({ name, containerPort })),
          // Two and a half minutes: a first start migrates the schema and has Vault make a key.
          startupProbe: probe("/health/live", { periodSeconds: 2, timeoutSeconds: 3, failureThreshold: 75 }),
          // The process alone; a database that is down is no reason to start again.
          livenessProbe: probe("/health/live", { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 }),
          readinessProbe: probe("/health/ready", { periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 3 }),
          lifecycle: { preStop: { sleep: { seconds: farewellSeconds } } },
          securityContext: restrictedContainer,
          resources: args.resources,
          volumeMounts: [secrets.volumeMount, ...certificate.volumeMounts, certificate.tokenMount, database],
        },
      ],
      volumes: [secrets.volume, ...certificate.volumes, { name: database.name, configMap: { name: args.database } }],
    },
  };
}

function probe(
  path: string,
  times: { readonly periodSeconds: number; readonly timeoutSeconds: number; readonly failureThreshold: number },
): types.input.core.v1.Probe {
  return { httpGet: { path, port: "api", scheme: "HTTPS" }, ...times };
}
