import type { ConfigMap } from "@pulumi/kubernetes/core/v1";
import { ServiceAccount } from "@pulumi/kubernetes/core/v1";
import { Chart } from "@pulumi/kubernetes/helm/v4";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../stacks/settings";
import { chartSource } from "../addons/charts";
import { type LabelArgs, labelsOf } from "../parts";
import { restrictedContainer, restrictedPod } from "../restricted";
import { csiDriver, secretsMountPath } from "../secrets/secret-files";
import type { VaultFoundation } from "../vault/foundation";
import { EntryFiles } from "./entry-files";
import { stackName } from "./servers";

/** Arguments of `Grafana`. */
export interface GrafanaArgs {
  readonly settings: Settings;
  readonly foundation: VaultFoundation;
  /** Where charts come from. */
  readonly charts: string;
  readonly labels: LabelArgs;
  /** The dashboards, a file each. */
  readonly dashboards: ConfigMap;
  /** Address of Prometheus inside the cluster. */
  readonly prometheusUrl: string;
}

/** Its account, and the name of its objects. */
const name = `${stackName}-grafana`;

/** Grafana's own user in its image. */
const podSecurity = { ...restrictedPod, runAsUser: 472, runAsGroup: 472, fsGroup: 472 } as const;

/**
 * Grafana by its chart: the platform's dashboards from their ConfigMap, this stack's Prometheus, and nothing that it
 * would have to remember. It reads no object of the cluster, so it has no token; the password of its administrator is a
 * file, as the chart's own ways are a Secret and an environment variable.
 */
export class Grafana extends pulumi.ComponentResource {
  constructor(key: string, args: GrafanaArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:monitoring:Grafana", key, {}, opts);
    const { settings, foundation, labels, charts, dashboards } = args;
    const { namespace, grafana } = settings.monitoring;
    const parent = { parent: this };
    const account = new ServiceAccount(
      key,
      { metadata: { name, namespace, labels: labelsOf(labels) }, automountServiceAccountToken: false },
      { ...parent, deleteBeforeReplace: true },
    );
    const files = new EntryFiles(
      `${key}-login`,
      {
        settings,
        foundation,
        entry: "grafana",
        role: "grafana",
        namespace,
        account: name,
        files: [grafana.file],
        labels,
      },
      parent,
    );
    new Chart(
      key,
      {
        ...chartSource(charts, grafana.chart, grafana.version),
        name: grafana.chart,
        namespace,
        values: {
          ...grafanaValues(args),
          ...secretValues(grafana.file, files.className),
          dashboardsConfigMaps: { [stackName]: dashboards.metadata.name },
          ...grafana.values,
        },
      },
      { ...parent, dependsOn: [account, files] },
    );
    this.registerOutputs({ namespace, account: account.metadata.name, providerClass: files.className });
  }
}

/** What the chart is told, but for what is known only once other objects are there. */
export function grafanaValues({ settings, labels, prometheusUrl }: Omit<GrafanaArgs, "dashboards">): object {
  const { registry } = settings;
  return {
    fullnameOverride: name,
    image: imageValues(registry.references["grafana"] ?? ""),
    ...(registry.pullSecret === undefined ? {} : { imagePullSecrets: [registry.pullSecret] }),
    extraLabels: labelsOf(labels),
    serviceAccount: { create: false, name },
    automountServiceAccountToken: false,
    rbac: { create: false },
    testFramework: { enabled: false },
    initChownData: { enabled: false },
    persistence: { enabled: false },
    securityContext: podSecurity,
    containerSecurityContext: restrictedContainer,
    resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "256Mi" } },
    extraEmptyDirMounts: [{ name: "tmp", mountPath: "/tmp" }],
    datasources: {
      "datasources.yaml": {
        apiVersion: 1,
        datasources: [
          {
            name: "Prometheus",
            uid: "prometheus",
            type: "prometheus",
            access: "proxy",
            url: prometheusUrl,
            isDefault: true,
            editable: false,
          },
        ],
      },
    },
    dashboardProviders: {
      "dashboardproviders.yaml": {
        apiVersion: 1,
        providers: [
          {
            name: stackName,
            orgId: 1,
            folder: "TokenShield",
            type: "file",
            disableDeletion: true,
            allowUiUpdates: false,
            options: { path: `/var/lib/grafana/dashboards/${stackName}` },
          },
        ],
      },
    },
  };
}

/** Grafana reads the password itself (`$__file`), so that it is in no environment variable and in no Secret. */
function secretValues(file: string, className: pulumi.Input<string>): object {
  const volume = "login";
  return {
    // Set at all, it keeps the chart from making a Secret and handing it over by environment variable; the
    // administrator is made all the same, as its value is false.
    env: { GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: "false" },
    "grafana.ini": {
      analytics: { reporting_enabled: false, check_for_updates: false, check_for_plugin_updates: false },
      "auth.anonymous": { enabled: false },
      users: { allow_sign_up: false },
      security: {
        admin_password: `$__file{${secretsMountPath}/${file}}`,
        disable_gravatar: true,
        cookie_secure: true,
        strict_transport_security: true,
      },
      log: { mode: "console" },
      paths: { data: "/var/lib/grafana/", logs: "/var/lib/grafana/log", provisioning: "/etc/grafana/provisioning" },
    },
    extraSecretMounts: [
      {
        name: volume,
        mountPath: secretsMountPath,
        readOnly: true,
        csi: { driver: csiDriver, readOnly: true, volumeAttributes: { secretProviderClass: className } },
      },
    ],
  };
}

/** A reference in the words of the chart: `registry.example.com/tokenshield/grafana:12.4.3@sha256:…`. */
export function imageValues(reference: string): object {
  const [path = "", digest] = reference.split("@sha256:");
  const [, registry = "", repository = "", tag = ""] = /^([^/]+)\/([^:]+)(?::(.+))?$/.exec(path) ?? [];
  return { registry, repository, tag, ...(digest === undefined ? {} : { sha: digest }) };
}
