import { CustomResource } from "@pulumi/kubernetes/apiextensions";
import { ConfigMap, Namespace, Secret, ServiceAccount } from "@pulumi/kubernetes/core/v1";
import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1";
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "@pulumi/kubernetes/rbac/v1";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../stacks/settings";
import type { Addons } from "../addons/addons";
import { type ArgumentProblem, refuse } from "../checks";
import { certificateFiles } from "../certificates/agent-config";
import { denyAll } from "../network/policies";
import { type LabelArgs, labelsOf } from "../parts";
import { restrictedNamespace } from "../restricted";
import { sortedJson } from "@tokenshield/rotation";
import type { TokenShield } from "../tokenshield";
import type { VaultFoundation } from "../vault/foundation";
import type { ClusterJob } from "./alerts/alert";
import { ruleSpec } from "./alerts/rules";
import { dashboards as boards } from "./dashboards/boards";
import { dashboardOf } from "./dashboards/panels";
import { EntryFiles } from "./entry-files";
import { Grafana } from "./grafana";
import { apiServerMonitor, clusterMonitor, tenantMonitor, vaultScrape } from "./monitors";
import { monitoringPolicies } from "./monitoring-policies";
import { alertmanagerConfig } from "./receivers";
import { isPodJob, jobsOf, type Scraped, scrapedTenants } from "./scraped";
import { accounts, alertmanagerSpec, prometheusSpec, stackName } from "./servers";

/** Arguments of `Monitoring`. */
export interface MonitoringArgs {
  /** The stack's settings; monitoring isn't `none`. Plain, as they decide which resources there are. */
  readonly settings: Settings;
  /** The cluster's add-ons, the operator among them. */
  readonly addons: Addons;
  /** What the environment has in Vault. */
  readonly foundation: VaultFoundation;
  /** The tenants by name. */
  readonly tenants: ReadonlyMap<string, TokenShield>;
  /** Authorities that signed Vault's certificate, PEM. Default: public ones. */
  readonly vaultCa?: string | undefined;
  /** Where charts come from. */
  readonly charts: string;
}

const api = "monitoring.coreos.com";

/**
 * Monitors and alerts of every tenant whose spec asks for them; and, where the stack is to have its own, Prometheus and
 * Alertmanager by the operator, isolated like a tenant, with rights to find pods and no others.
 */
export class Monitoring extends pulumi.ComponentResource {
  /** Address of Prometheus inside the cluster; empty where it is somebody else's. */
  readonly prometheusUrl: pulumi.Output<string>;
  /** Address of Alertmanager inside the cluster; empty where it is somebody else's. */
  readonly alertmanagerUrl: pulumi.Output<string>;
  /** The alerts. */
  readonly rules: CustomResource;

  readonly #args: MonitoringArgs;
  readonly #name: string;
  readonly #labels: LabelArgs;
  readonly #operator: pulumi.Resource[];
  readonly #home: pulumi.Resource[];

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:monitoring:Monitoring", name, {}, opts);
    const { settings, addons } = args;
    refuse(`Monitoring ${name}`, [...problems(settings)]);
    const { mode, namespace } = settings.monitoring;
    const { classes } = settings.rotation;
    this.#args = args;
    this.#name = name;
    this.#labels = { environment: settings.environment, tags: settings.tags };
    this.#operator = addons.needed("prometheusOperator");
    this.#home = this.#makeHome();
    const scraped = scrapedTenants(settings, args.tenants);
    const jobs = mode === "managed" ? jobsOf(settings) : [];

    for (const tenant of scraped) this.#watch(tenant);
    if (mode === "managed") this.#serve(scraped, jobs);
    this.rules = this.#custom("alerts", "PrometheusRule", "v1", `${stackName}-${settings.environment}`, namespace, {
      ...ruleSpec(
        {
          tenants: scraped,
          jobs,
          leafMinutes: settings.vault.pki.leafMinutes,
          keyDays: classes.encryption.intervalDays,
          graceHours: {
            api: classes.api.graceHours,
            database: classes.database.graceHours,
            encryption: classes.encryption.graceHours,
            jwt: classes.jwt.graceHours,
          },
          trustHours: classes.bump.trustHours,
          patience: settings.monitoring.alertPatience,
        },
        settings.monitoring.runbooks.replace(/\/$/, ""),
      ),
    });
    const url = (service: string, port: number): string =>
      mode === "managed" ? `http://${service}-operated.${namespace}.svc:${port}` : "";
    this.#show(url("prometheus", 9090));
    this.prometheusUrl = pulumi.output(url("prometheus", 9090));
    this.alertmanagerUrl = pulumi.output(url("alertmanager", 9093));
    this.registerOutputs({ prometheusUrl: this.prometheusUrl, alertmanagerUrl: this.alertmanagerUrl });
  }

  /** The monitors of a tenant, in its own namespace, and the right to find its pods. */
  #watch({ name, namespace, jobs, shield }: Scraped): void {
    const opts: pulumi.CustomResourceOptions = { dependsOn: [shield.namespace] };
    const authorities = shield.certificates.get("tokenizer");
    for (const job of jobs) {
      const args = {
        tenant: name,
        namespace,
        job,
        authorities: { name: authorities?.config.metadata.name ?? "", key: certificateFiles.authorities },
      };
      this.#custom(
        `${name}-${job}`,
        "PodMonitor",
        "v1",
        `${stackName}-${job}`,
        namespace,
        tenantMonitor(args),
        opts,
        name,
      );
    }
    if (this.#args.settings.monitoring.mode === "managed") this.#mayFindPods(name, namespace, opts, name);
  }

  /** Prometheus, Alertmanager, what they may and whom they reach. */
  #serve(scraped: readonly Scraped[], jobs: readonly ClusterJob[]): void {
    const { settings, vaultCa } = this.#args;
    const { monitoring, vault } = settings;
    const { namespace } = monitoring;
    const home = this.#home;
    const opts: pulumi.CustomResourceOptions = { dependsOn: home };
    this.#isolate(scraped, jobs, opts);
    this.#accounts(jobs, opts);

    for (const job of jobs) {
      if (!isPodJob(job)) continue;
      const where = job === "csi-driver" ? settings.addons.secretsStoreCsiDriver.namespace : namespace;
      this.#custom(job, "PodMonitor", "v1", `${stackName}-${job}`, namespace, clusterMonitor(job, where), opts);
    }
    if (jobs.includes("apiserver")) {
      this.#custom("apiserver", "ServiceMonitor", "v1", `${stackName}-apiserver`, namespace, apiServerMonitor, opts);
    }
    if (jobs.includes("secret-provider")) {
      const authorities = vaultCa === undefined ? undefined : this.#authorities(vaultCa, opts);
      const spec = vaultScrape(vault.podAddress ?? vault.address, authorities);
      this.#custom("vault", "ScrapeConfig", "v1alpha1", `${stackName}-secret-provider`, namespace, spec, opts);
    }

    const files = this.#receiverFiles(opts);
    const config = new Secret(
      `${this.#name}-alertmanager`,
      {
        metadata: { name: `alertmanager-${stackName}`, namespace, labels: labelsOf(this.#labels) },
        // Routes and names of files: the operator reads them from a Secret only. No secret is in it.
        data: { "alertmanager.yaml": Buffer.from(alertmanagerConfig(monitoring.receivers)).toString("base64") },
      },
      { parent: this, ...opts, deleteBeforeReplace: true },
    );
    const { prometheus = "", alertmanager = "" } = settings.registry.references;
    const labels = labelsOf(this.#labels);
    const started = { dependsOn: [...home, config, ...(files === undefined ? [] : [files])] };
    this.#custom("prometheus", "Prometheus", "v1", stackName, namespace, prometheusSpec(settings, prometheus, labels), {
      ...started,
    });
    const spec = alertmanagerSpec(settings, alertmanager, labels, config.metadata.name, files?.className);
    this.#custom("alertmanager", "Alertmanager", "v1", stackName, namespace, spec, started);
  }

  /** The namespace where it is this stack's: the operator's, where this stack has installed that there, or one of its own. */
  #makeHome(): pulumi.Resource[] {
    const { settings, addons } = this.#args;
    const { namespace: name, mode } = settings.monitoring;
    if (mode !== "managed") return this.#operator;
    const there = [...addons.installed].some((addon) => settings.addons[addon].namespace === name);
    if (there) return this.#operator;
    const labels = { ...labelsOf(this.#labels), ...restrictedNamespace };
    return [new Namespace(`${this.#name}-home`, { metadata: { name, labels } }, { parent: this }), ...this.#operator];
  }

  #isolate(scraped: readonly Scraped[], jobs: readonly ClusterJob[], opts: pulumi.CustomResourceOptions): void {
    const { monitoring, cluster, vault, addons } = this.#args.settings;
    const { namespace, receivers, receiverCidrs, remoteWrite, remoteWriteCidrs, grafana } = monitoring;
    const specs = {
      deny: denyAll,
      ...monitoringPolicies({
        tenants: scraped,
        dns: cluster.dns,
        apiServer: { ...cluster.apiServer, cidrs: [...cluster.apiServer.cidrs].sort() },
        vault: { ...vault.reach, cidrs: [...vault.reach.cidrs].sort() },
        driver: jobs.includes("csi-driver") ? addons.secretsStoreCsiDriver.namespace : undefined,
        receivers: receivers.length === 0 ? undefined : [...receiverCidrs].sort(),
        remoteWrite: remoteWrite.length === 0 ? undefined : [...remoteWriteCidrs].sort(),
        grafana: grafana.mode === "none" ? undefined : [...grafana.clientNamespaces].sort(),
      }),
    };
    for (const [key, spec] of Object.entries(specs)) {
      new NetworkPolicy(
        `${this.#name}-${key}`,
        { metadata: { name: `${stackName}-${key}`, namespace, labels: labelsOf(this.#labels) }, spec },
        { parent: this, ...opts, deleteBeforeReplace: true },
      );
    }
  }

  /** The accounts, and what Prometheus may: find pods where something is scraped, and read the API server's metrics. */
  #accounts(jobs: readonly ClusterJob[], opts: pulumi.CustomResourceOptions): void {
    const { settings } = this.#args;
    const { namespace } = settings.monitoring;
    const labels = labelsOf(this.#labels);
    for (const account of Object.values(accounts)) {
      new ServiceAccount(
        `${this.#name}-${account}`,
        { metadata: { name: account, namespace, labels }, automountServiceAccountToken: false },
        { parent: this, ...opts, deleteBeforeReplace: true },
      );
    }
    this.#mayFindPods("own", namespace, opts);
    if (jobs.includes("csi-driver")) {
      this.#mayFindPods("csi-driver", settings.addons.secretsStoreCsiDriver.namespace, opts);
    }
    if (!jobs.includes("apiserver")) return;
    this.#mayFindPods("apiserver", "default", opts);
    const name = `${stackName}-${settings.environment}-metrics`;
    new ClusterRole(
      `${this.#name}-metrics`,
      { metadata: { name, labels }, rules: [{ nonResourceURLs: ["/metrics"], verbs: ["get"] }] },
      { parent: this, deleteBeforeReplace: true },
    );
    new ClusterRoleBinding(
      `${this.#name}-metrics`,
      {
        metadata: { name, labels },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
        subjects: [{ kind: "ServiceAccount", name: accounts.prometheus, namespace }],
      },
      { parent: this, deleteBeforeReplace: true },
    );
  }

  #mayFindPods(key: string, namespace: string, opts: pulumi.CustomResourceOptions, tenant?: string): void {
    const name = accounts.prometheus;
    const labels = labelsOf({ ...this.#labels, ...(tenant === undefined ? {} : { tenant }) });
    const metadata = { name, namespace, labels };
    const verbs = ["get", "list", "watch"];
    new Role(
      `${this.#name}-${key}-pods`,
      {
        metadata,
        rules: [
          { apiGroups: [""], resources: ["pods", "services"], verbs },
          { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs },
        ],
      },
      { parent: this, ...opts, deleteBeforeReplace: true },
    );
    new RoleBinding(
      `${this.#name}-${key}-pods`,
      {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
        subjects: [{ kind: "ServiceAccount", name, namespace: this.#args.settings.monitoring.namespace }],
      },
      { parent: this, ...opts, deleteBeforeReplace: true },
    );
  }

  /** The authorities of Vault's certificate, where Prometheus finds them. */
  #authorities(vaultCa: string, opts: pulumi.CustomResourceOptions): { name: pulumi.Output<string>; key: string } {
    const key = "ca.pem";
    const metadata = { namespace: this.#args.settings.monitoring.namespace, labels: labelsOf(this.#labels) };
    const map = new ConfigMap(
      `${this.#name}-vault-authorities`,
      { metadata, data: { [key]: vaultCa } },
      { parent: this, ...opts },
    );
    return { name: map.metadata.name, key };
  }

  #receiverFiles(opts: pulumi.CustomResourceOptions): EntryFiles | undefined {
    const { settings, foundation, addons } = this.#args;
    const { receivers, namespace } = settings.monitoring;
    if (receivers.length === 0) return undefined;
    return new EntryFiles(
      `${this.#name}-receivers`,
      {
        settings,
        foundation,
        entry: "receivers",
        role: "alertmanager",
        namespace,
        account: accounts.alertmanager,
        files: receivers.map(({ file }) => file),
        labels: this.#labels,
      },
      {
        parent: this,
        dependsOn: [
          ...(Array.isArray(opts.dependsOn) ? (opts.dependsOn as pulumi.Resource[]) : []),
          ...addons.needed("secretsStoreCsiDriver", "vaultCsiProvider"),
        ],
      },
    );
  }

  /** The dashboards, for this stack's Grafana, or as the sidecar of another's chart finds them where a tenant asks. */
  #show(prometheusUrl: string): void {
    const { settings, foundation, charts, addons } = this.#args;
    const { namespace, grafana } = settings.monitoring;
    const asked = settings.tenants.some(({ spec }) => spec.monitoring.grafana.dashboards);
    if (!asked && grafana.mode === "none") return;
    const labels = { ...labelsOf(this.#labels), grafana_dashboard: "1" };
    const data = Object.fromEntries(boards.map((plan) => [`${plan.uid}.json`, sortedJson(dashboardOf(plan))]));
    const dashboards = new ConfigMap(
      `${this.#name}-dashboards`,
      { metadata: { name: `${stackName}-dashboards`, namespace, labels }, data },
      { parent: this, dependsOn: this.#home, deleteBeforeReplace: true },
    );
    if (grafana.mode === "none") return;
    new Grafana(
      `${this.#name}-grafana`,
      { settings, foundation, charts, labels: this.#labels, dashboards, prometheusUrl },
      { parent: this, dependsOn: [...this.#home, ...addons.needed("secretsStoreCsiDriver", "vaultCsiProvider")] },
    );
  }

  /** An object of the operator's kinds, with the labels by which Prometheus selects this stack's. */
  #custom(
    key: string,
    kind: string,
    version: "v1" | "v1alpha1",
    name: string,
    namespace: string,
    spec: object,
    opts: pulumi.CustomResourceOptions = {},
    tenant?: string,
  ): CustomResource {
    const { dependsOn = [] } = opts;
    const labels = labelsOf({ ...this.#labels, ...(tenant === undefined ? {} : { tenant }) });
    const further = this.#args.settings.monitoring.labels;
    return new CustomResource(
      `${this.#name}-${key}`,
      { apiVersion: `${api}/${version}`, kind, metadata: { name, namespace, labels: { ...further, ...labels } }, spec },
      {
        parent: this,
        dependsOn: [...this.#operator, ...(dependsOn as pulumi.Resource[])],
        // Others know these objects by their names.
        deleteBeforeReplace: true,
      },
    );
  }
}

function* problems({ monitoring, registry }: Settings): Generator<ArgumentProblem> {
  if (monitoring.mode === "none") {
    yield { propertyPath: "settings.monitoring.mode", reason: "expected managed or existing, given none" };
  }
  for (const name of ["prometheus", "alertmanager", ...(monitoring.grafana.mode === "none" ? [] : ["grafana"])]) {
    if (monitoring.mode === "managed" && registry.references[name] === undefined) {
      yield { propertyPath: `settings.registry.references.${name}`, reason: "expected an image, given none" };
    }
  }
}
