import * as pulumi from "@pulumi/pulumi";
import { type ArgumentProblem, refuse } from "../checks";
import { ports } from "../parts";
import { haproxyConfig, haproxyFile, runtimePort } from "./haproxy-config";
import { maxBodyBytes, stopSeconds } from "./settings";
import { makeWorkload, mostPods, podName, type ProxyArgs, proxyProblems, type Workload } from "./workload";

/** Arguments of `IngressProxy`. */
export interface IngressProxyArgs extends ProxyArgs {
  /** Names by which clients reach it; the last one is told to them. */
  readonly names: readonly [string, ...string[]];
  /** Names of the tokenizer's Service; the first is the one that its certificate must have. */
  readonly tokenizer: readonly [string, ...string[]];
  /** Connections of clients at the same time, in one pod. Default: 4000. */
  readonly maxConnections?: number | undefined;
  /** Requests a second that one client address may send, averaged over ten seconds, as far as pods hear of each other. Default: 200. */
  readonly requestsPerSecond?: number | undefined;
}

/**
 * The way in: HAProxy takes clients' requests by TLS and hands them to the tokenizer by mutual TLS, whose name it
 * checks. Without a tokenizer it answers 503.
 */
export class IngressProxy extends pulumi.ComponentResource {
  /** Pods, settings, Service and disruption budget. */
  readonly workload: Workload;
  /** Where clients send card numbers, `https://…`. */
  readonly url: pulumi.Output<string>;

  constructor(name: string, args: IngressProxyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:proxies:IngressProxy", name, {}, opts);
    refuse(`IngressProxy ${name}`, [...proxyProblems(args), ...problems(args)]);
    const { tokenizer, maxConnections = 4000, requestsPerSecond = 200 } = args;
    const [identity, address = identity] = args.names;
    const most = mostPods(args);
    const domain = address.slice(address.indexOf("."));
    const pods = Array.from({ length: most }, (_, ordinal) => podName("inbound", ordinal));
    const config = haproxyConfig({
      ports: { traffic: ports.inbound, metrics: ports.inboundMetrics, runtime: runtimePort },
      tokenizer: { host: tokenizer.at(-1) ?? tokenizer[0], port: ports.tokenizer, name: tokenizer[0] },
      // One pod has nobody to tell what it counts.
      ...(most < 2
        ? {}
        : {
            peers: {
              port: ports.inboundPeers,
              name: identity,
              pods: pods.map((host) => ({ host, address: `${host}${domain}` })),
            },
          }),
      maxBodyBytes,
      maxConnections,
      requestsPerTenSeconds: requestsPerSecond * 10,
      // The application may take 30 seconds, and the tokenizer's own work comes on top.
      answerSeconds: 60,
      stopSeconds,
    });
    this.workload = makeWorkload(
      name,
      {
        ...args,
        part: "inbound",
        files: { [haproxyFile]: config },
        ports: [
          { name: "https", container: ports.inbound, service: 443 },
          { name: "metrics", container: ports.inboundMetrics, service: ports.inboundMetrics },
        ],
        readiness: {
          httpGet: { path: "/health", port: ports.inboundMetrics, scheme: "HTTPS" },
          periodSeconds: 5,
          timeoutSeconds: 2,
        },
        folders: [],
        ...(most < 2 ? {} : { peersPort: ports.inboundPeers }),
      },
      { parent: this },
    );
    this.url = this.workload.service.id.apply(() => `https://${address}`);
    this.registerOutputs({ url: this.url });
  }
}

function* problems({ maxConnections, requestsPerSecond }: IngressProxyArgs): Generator<ArgumentProblem> {
  for (const [propertyPath, value] of Object.entries({ maxConnections, requestsPerSecond })) {
    if (value !== undefined && (!Number.isInteger(value) || value < 1)) {
      yield { propertyPath, reason: `expected a whole number of at least 1, given ${value}` };
    }
  }
}
