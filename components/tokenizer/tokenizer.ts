import { createHash } from "node:crypto";
import { Deployment } from "@pulumi/kubernetes/apps/v1";
import type { HorizontalPodAutoscaler } from "@pulumi/kubernetes/autoscaling/v2";
import { ConfigMap, Service } from "@pulumi/kubernetes/core/v1";
import { PodDisruptionBudget } from "@pulumi/kubernetes/policy/v1";
import * as pulumi from "@pulumi/pulumi";
import { quantity } from "../../stacks/formats";
import type { TokenShieldSpec } from "../../stacks/tokenshield-spec";
import { autoscaler } from "../autoscaler";
import type { CertificatePod } from "../certificates/agent-certificate";
import { type ArgumentProblem, refuse } from "../checks";
import type { Database } from "../database/database";
import { accountName, type LabelArgs, labelsOf, ports, roleLabel, tokenizerPods } from "../parts";
import type { SecretsMount } from "../secrets/secret-files";
import { serviceNames } from "../vault/tenant";
import { databaseAuthorities, type EnvironmentArgs, environmentOf, type VaultLogin } from "./environment";
import { podTemplate, portsOf } from "./pod";

/** Arguments of `Tokenizer`. */
export interface TokenizerArgs extends Pick<EnvironmentArgs, "tenant" | "format" | "gateways" | "peers" | "clients"> {
  /** Namespace of the pods. Plain, as names are made of it. A change replaces everything. */
  readonly namespace: string;
  /** The ServiceAccount of the pods. */
  readonly account: pulumi.Input<string>;
  /** Image of the tokenizer. */
  readonly image: pulumi.Input<string>;
  /** Pods, their resources and their autoscaling. */
  readonly spec: TokenShieldSpec["tokenizer"];
  /** Address of the merchant's application. Default: none, and nothing listens for the inbound proxy. */
  readonly application?: string | undefined;
  /** Where cards and wrapped keys lie. */
  readonly database: Pick<Database, "address" | "caBundle" | "schema">;
  /** Whether the database asks for a certificate of the tenant's authority. */
  readonly clientCertificate: "shown" | "none";
  /** The key service. */
  readonly vault: VaultLogin;
  /** The certificate of the pods. */
  readonly certificate: CertificatePod;
  /** Their secrets. */
  readonly secrets: SecretsMount;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** Pods that an update may have beside the wanted ones. */
const surge = 1;

/**
 * The tokenizer of a tenant: pods without a secret in their environment, that log in to Vault and the database by
 * themselves, behind one Service with a port each for the inbound proxy, the egress proxy and management.
 */
export class Tokenizer extends pulumi.ComponentResource {
  readonly deployment: Deployment;
  readonly service: Service;
  /** Gives each pod an address, for the rotator, which asks every one of them what it uses. */
  readonly pods: Service;
  /** Limits how many pods a drained node may take along. */
  readonly budget: PodDisruptionBudget;
  /** Sets the number of pods, where the settings ask for it. */
  readonly autoscaler: HorizontalPodAutoscaler | undefined;
  /** Where the inbound proxy sends requests, `https://…`; empty where there is no application. */
  readonly trafficUrl: pulumi.Output<string>;
  /** Where the egress proxy asks, `icaps://…`. */
  readonly icapUrl: pulumi.Output<string>;
  /** Address of the management API, `https://…`. */
  readonly managementUrl: pulumi.Output<string>;

  constructor(
    name: string,
    private readonly args: TokenizerArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:tokenizer:Tokenizer", name, {}, opts);
    refuse(`Tokenizer ${name}`, [...problems(args)]);
    const { namespace } = args;
    const labels = labelsOf({ ...args.labels, part: "tokenizer" });
    const selector = { app: "tokenshield", [roleLabel]: "tokenizer" };
    const metadata = { name: accountName("tokenizer"), namespace, labels };
    // Names are fixed, as others call the Service by its name.
    const fixed = { parent: this, deleteBeforeReplace: true };
    const inbound = args.application === undefined ? "off" : "served";

    const data = { [databaseAuthorities]: args.database.caBundle };
    const authorities = new ConfigMap(`${name}-database`, { metadata: { namespace, labels }, data }, { parent: this });
    const checksum = pulumi
      .output(args.database.caBundle)
      .apply((text) => createHash("sha256").update(text).digest("hex").slice(0, 16));
    this.service = new Service(
      name,
      {
        metadata,
        spec: {
          selector,
          ports: Object.entries(portsOf(inbound)).map(([port, number]) => ({
            name: port,
            port: number,
            targetPort: port,
            appProtocol: port === "icap" ? "icaps" : "https",
          })),
        },
      },
      fixed,
    );
    this.pods = new Service(
      `${name}-pods`,
      {
        metadata: { ...metadata, name: tokenizerPods },
        spec: {
          selector,
          clusterIP: "None",
          // One that isn't ready may be so by an old credential.
          publishNotReadyAddresses: true,
          ports: [{ name: "api", port: ports.management, targetPort: "api", appProtocol: "https" }],
        },
      },
      fixed,
    );
    this.deployment = new Deployment(
      name,
      {
        metadata,
        spec: {
          ...(args.spec.autoscaling.enabled ? {} : { replicas: args.spec.replicas }),
          selector: { matchLabels: selector },
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: surge, maxUnavailable: 0 } },
          revisionHistoryLimit: 5,
          template: podTemplate({
            image: args.image,
            account: args.account,
            environment: this.environment(),
            resources: args.spec.resources,
            certificate: args.certificate,
            secrets: args.secrets,
            database: authorities.metadata.name,
            inbound,
            labels,
            selector,
            annotations: { "tokenization.io/database-authorities": checksum },
          }),
        },
      },
      fixed,
    );
    this.budget = new PodDisruptionBudget(
      name,
      {
        metadata,
        // Pods that don't work anyway hold up no drain.
        spec: { selector: { matchLabels: selector }, maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" },
      },
      fixed,
    );
    const { replicas, autoscaling: bounds } = args.spec;
    const scaled = { metadata, workload: this.deployment, container: "tokenizer", replicas, bounds };
    this.autoscaler = bounds.enabled ? autoscaler(name, scaled, { parent: this }) : undefined;

    const host = `${metadata.name}.${namespace}.svc.cluster.local`;
    const served = (address: string): pulumi.Output<string> => this.service.metadata.name.apply(() => address);
    this.trafficUrl = served(inbound === "served" ? `https://${host}:${ports.tokenizer}` : "");
    this.icapUrl = served(`icaps://${host}:${ports.icap}`);
    this.managementUrl = served(`https://${host}:${ports.management}`);
    this.registerOutputs({
      trafficUrl: this.trafficUrl,
      icapUrl: this.icapUrl,
      managementUrl: this.managementUrl,
    });
  }

  private environment(): Readonly<Record<string, pulumi.Input<string>>> {
    const { args } = this;
    const { replicas, autoscaling, resources } = args.spec;
    const address = pulumi.output(args.database.address);
    return environmentOf({
      tenant: args.tenant,
      format: args.format,
      application: args.application,
      gateways: args.gateways,
      peers: args.peers,
      clients: args.clients,
      // Who changes the keys, and says that there are new secrets to read.
      officers: [`${serviceNames("rotator", args.namespace)[0]}:keys.rotate+secrets.refresh`],
      database: {
        host: address.host,
        port: address.port.apply(String),
        schema: args.database.schema,
        clientCertificate: args.clientCertificate,
      },
      vault: args.vault,
      mostPods: (autoscaling.enabled ? autoscaling.maxReplicas : replicas) + surge,
      memory: quantity(resources.limits.memory) ?? 0,
    });
  }
}

function* problems({ spec, application }: TokenizerArgs): Generator<ArgumentProblem> {
  const memory = quantity(spec.resources.limits.memory);
  if (memory === undefined || memory < leastMemory) {
    const reason = `expected at least 128Mi, given ${spec.resources.limits.memory}`;
    yield { propertyPath: "spec.resources.limits.memory", reason };
  }
  if (application !== undefined && !/^https?:\/\//.test(application)) {
    yield { propertyPath: "application", reason: `expected an http:// or https:// address, given ${application}` };
  }
}

/** Node itself takes some 70 MiB. In bytes. */
const leastMemory = 128 * 2 ** 20;
