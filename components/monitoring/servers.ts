import type { Input } from "@pulumi/pulumi";
import type { Settings } from "../../stacks/settings";
import { restrictedPod } from "../restricted";
import { csiDriver } from "../secrets/secret-files";
import { receiversPath } from "./receivers";

/** The name of everything that this platform adds to the monitoring namespace. */
export const stackName = "tokenshield";

/** The accounts of the servers. */
export const accounts = { prometheus: `${stackName}-prometheus`, alertmanager: `${stackName}-alertmanager` } as const;

type Labels = Readonly<Record<string, string>>;

/** The user of Prometheus' and Alertmanager's images. */
const podSecurity = { ...restrictedPod, runAsUser: 65534, runAsGroup: 65534, fsGroup: 65534 } as const;

/** Volumes of the lab are folders of its one node: there and in general a claim a pod. */
function claim({ storage, storageClass }: Settings["monitoring"]): object {
  return {
    volumeClaimTemplate: {
      spec: {
        accessModes: ["ReadWriteOnce"],
        ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
        resources: { requests: { storage } },
      },
    },
  };
}

/** Objects of this stack alone: two stacks in one cluster don't watch each other's. */
function ownObjects(environment: string): { readonly matchLabels: Labels } {
  return { matchLabels: { app: "tokenshield", "tokenization.io/environment": environment } };
}

/** The spec of the Prometheus object. */
export function prometheusSpec(settings: Settings, image: string, labels: Labels): object {
  const { environment, monitoring, registry, safety } = settings;
  const { namespace, replicas, memory, cpuRequest, retentionDays, remoteWrite } = monitoring;
  const selector = ownObjects(environment);
  const kinds = ["serviceMonitor", "podMonitor", "rule", "scrapeConfig"];
  return {
    image,
    replicas,
    podMetadata: { labels },
    serviceAccountName: accounts.prometheus,
    ...(registry.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: registry.pullSecret }] }),
    // It finds its targets by the API server, and proves itself there when it reads that server's metrics.
    automountServiceAccountToken: true,
    serviceDiscoveryRole: "EndpointSlice",
    ...Object.fromEntries(
      kinds.flatMap((kind) => [
        [`${kind}Selector`, selector],
        [`${kind}NamespaceSelector`, {}],
      ]),
    ),
    scrapeInterval: "30s",
    evaluationInterval: "30s",
    externalLabels: { environment },
    // What a target says of itself never replaces what Prometheus knows of it.
    overrideHonorLabels: true,
    enforcedBodySizeLimit: "64MB",
    retention: `${retentionDays}d`,
    storage: claim(monitoring),
    resources: { requests: { cpu: cpuRequest, memory }, limits: { memory } },
    securityContext: podSecurity,
    persistentVolumeClaimRetentionPolicy: {
      whenDeleted: safety.dataOnDestroy === "delete" ? "Delete" : "Retain",
      whenScaled: "Retain",
    },
    alerting: {
      alertmanagers: [{ namespace, name: "alertmanager-operated", port: "web", apiVersion: "v2" }],
    },
    ...(remoteWrite.length === 0 ? {} : { remoteWrite: [...remoteWrite].sort().map((url) => ({ url })) }),
  };
}

/**
 * The spec of the Alertmanager object.
 * @param config name of the Secret with its configuration
 * @param secretClass SecretProviderClass with the secrets of its receivers; absent: there are none
 */
export function alertmanagerSpec(
  settings: Settings,
  image: string,
  labels: Labels,
  config: Input<string>,
  secretClass: Input<string> | undefined,
): object {
  const { replicas } = settings.monitoring;
  const { pullSecret } = settings.registry;
  const volume = "receivers";
  return {
    image,
    replicas,
    podMetadata: { labels },
    serviceAccountName: accounts.alertmanager,
    ...(pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] }),
    automountServiceAccountToken: false,
    configSecret: config,
    resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { memory: "128Mi" } },
    securityContext: podSecurity,
    ...(secretClass === undefined
      ? {}
      : {
          volumes: [
            {
              name: volume,
              csi: { driver: csiDriver, readOnly: true, volumeAttributes: { secretProviderClass: secretClass } },
            },
          ],
          volumeMounts: [{ name: volume, mountPath: receiversPath, readOnly: true }],
        }),
  };
}
