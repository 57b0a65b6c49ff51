import { Service } from "@pulumi/kubernetes/core/v1";
import * as pulumi from "@pulumi/pulumi";
import { bumpFiles, bumpPath } from "../certificates/bump";
import { type ArgumentProblem, refuse } from "../checks";
import { labelsOf, outboundPods, ports, roleLabel } from "../parts";
import { restrictedContainer } from "../restricted";
import { doorConfig, doorFile } from "./door-config";
import { bundle, runtimePort } from "./haproxy-config";
import { maxBodyBytes, settingsPath, stopSeconds } from "./settings";
import {
  gatewayAuthoritiesFile,
  squidConfig,
  squidFiguresPort,
  squidFile,
  type SquidGateway,
  squidPort,
  squidRunPath,
} from "./squid-config";
import { makeWorkload, type ProxyArgs, proxyProblems, type Workload } from "./workload";

/** A payment gateway, as the egress proxy is told of it. */
export interface EgressGateway extends SquidGateway {
  /** Authorities that sign its certificate, PEM. Default: public ones. */
  readonly authorities?: string | undefined;
}

/** Arguments of `EgressProxy`. */
export interface EgressProxyArgs extends ProxyArgs {
  /** Image of HAProxy, the door in front of Squid. */
  readonly doorImage: pulumi.Input<string>;
  /** Names by which the application reaches it; the last one is told to it. */
  readonly names: readonly [string, ...string[]];
  /** Names of the tokenizer's Service; the first is the one that its certificate must have. */
  readonly tokenizer: readonly [string, ...string[]];
  /** The gateways that card numbers may go to. None: the proxy refuses everything. */
  readonly gateways: readonly EgressGateway[];
  /** Name of the authorities that the pods make for themselves. */
  readonly authorityName: string;
  /** Name of the tenant. */
  readonly tenant: string;
}

/** The exporter of Squid's figures, in Squid's image. */
const exporterCommand = (tenant: string): readonly string[] => [
  ...["node", "--max-old-space-size=32", "/exporter/main.mjs"],
  ...["--listen", `${ports.squidMetrics}`, "--squid", `${squidFiguresPort}`],
  ...["--certificate", bundle, "--authority", `${bumpPath}/${bumpFiles.bundle}`, "--tenant", tenant],
];

/** The volume in which a pod's own authority lies. */
export const bumpMount = { name: "bump", mountPath: bumpPath } as const;

/**
 * The way out: a door takes CONNECT to the gateways on the list and refuses everything else; Squid behind it opens TLS by an authority that is its pod's own, has
 * every request and answer rewritten by the tokenizer (ICAP by mutual TLS) and calls the gateway by TLS, whose
 * certificate it verifies. If the tokenizer is out of reach nothing is forwarded.
 */
export class EgressProxy extends pulumi.ComponentResource {
  /** Pods, settings, Service and disruption budget. */
  readonly workload: Workload;
  /** The Service below which each pod has its address, for who has to ask all of them. */
  readonly pods: Service;
  /** Where the application sends its payments, `host:port`. */
  readonly address: pulumi.Output<string>;

  constructor(name: string, args: EgressProxyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:proxies:EgressProxy", name, {}, opts);
    refuse(`EgressProxy ${name}`, [...proxyProblems(args), ...problems(args)]);
    const { tokenizer, gateways } = args;
    const given = gateways.flatMap(({ authorities }) => (authorities === undefined ? [] : [authorities.trim()]));
    const config = squidConfig({
      port: squidPort,
      figuresPort: squidFiguresPort,
      gateways,
      icap: { host: tokenizer.at(-1) ?? tokenizer[0], port: ports.icap, name: tokenizer[0] },
      gatewayAuthorities: given.length === 0 ? "public" : given.length === gateways.length ? "given" : "both",
      maxBodyBytes,
      stopSeconds,
    });
    const door = doorConfig({
      ports: {
        connect: ports.outbound,
        metrics: ports.outboundMetrics,
        runtime: runtimePort,
        squid: squidPort,
      },
      gateways,
      maxConnections: 1000,
      stopSeconds,
    });
    this.workload = makeWorkload(
      name,
      {
        ...args,
        part: "outbound",
        files: {
          [squidFile]: config,
          [doorFile]: door,
          ...(given.length === 0 ? {} : { [gatewayAuthoritiesFile]: `${[...new Set(given)].join("\n")}\n` }),
        },
        ports: [
          { name: "connect", container: ports.outbound, service: ports.outbound },
          { name: "metrics", container: ports.outboundMetrics, service: ports.outboundMetrics },
        ],
        readiness: {
          httpGet: { path: "/health", port: ports.outboundMetrics, scheme: "HTTPS" },
          periodSeconds: 5,
          timeoutSeconds: 2,
        },
        beside: [
          {
            name: "door",
            image: args.doorImage,
            // The image's own command names the settings of the other proxy.
            command: ["/haproxy", "-db", "-f", `${settingsPath}/${doorFile}`],
            resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { cpu: "200m", memory: "192Mi" } },
            ports: "served",
          },
          {
            name: "exporter",
            image: args.image,
            command: exporterCommand(args.tenant),
            resources: { requests: { cpu: "5m", memory: "48Mi" }, limits: { cpu: "100m", memory: "96Mi" } },
            ports: [{ name: "squid-metrics", container: ports.squidMetrics }],
            volumeMounts: [{ ...bumpMount, readOnly: true }],
          },
        ],
        folders: [
          { name: bumpMount.name, path: bumpMount.mountPath, limit: "1Mi" },
          { name: "squid", path: squidRunPath, limit: "32Mi" },
        ],
        before: [
          {
            name: "authority-key",
            image: args.image,
            command: ["make-request", args.authorityName],
            securityContext: restrictedContainer,
            resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { cpu: "200m", memory: "64Mi" } },
            volumeMounts: [bumpMount],
          },
        ],
      },
      { parent: this },
    );
    const selector = { [roleLabel]: "outbound" };
    this.pods = new Service(
      `${name}-pods`,
      {
        metadata: {
          namespace: args.namespace,
          name: outboundPods,
          labels: labelsOf({ ...args.labels, part: "outbound" }),
        },
        spec: {
          selector,
          clusterIP: "None",
          // One that isn't ready may be so by an old authority.
          publishNotReadyAddresses: true,
          ports: [{ name: "squid-metrics", port: ports.squidMetrics, targetPort: "squid-metrics" }],
        },
      },
      { parent: this, deleteBeforeReplace: true },
    );
    const host = args.names.at(-1) ?? args.names[0];
    this.address = this.workload.service.id.apply(() => `${host}:${ports.outbound}`);
    this.registerOutputs({ address: this.address });
  }
}

const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/;

function* problems({ gateways, authorityName }: EgressProxyArgs): Generator<ArgumentProblem> {
  if (!/^[A-Za-z0-9 .-]{1,64}$/.test(authorityName)) {
    const reason = `expected 1 to 64 letters, digits, blanks, dots and hyphens, given ${JSON.stringify(authorityName)}`;
    yield { propertyPath: "authorityName", reason };
  }
  for (const [index, { host, port, authorities }] of gateways.entries()) {
    const path = `gateways[${index}]`;
    if (!dnsName.test(host) || /\.\d+$/.test(host)) {
      const reason = `expected a full DNS name in lower case, given ${JSON.stringify(host)}`;
      yield { propertyPath: `${path}.host`, reason };
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      yield { propertyPath: `${path}.port`, reason: `expected 1 to 65535, given ${port}` };
    }
    if (authorities !== undefined && !authorities.includes("-----BEGIN CERTIFICATE-----")) {
      yield { propertyPath: `${path}.authorities`, reason: "expected certificates, PEM" };
    }
  }
}
