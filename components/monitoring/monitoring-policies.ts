import type { types } from "@pulumi/kubernetes";
import { inNamespace, privateRanges } from "../network/policies";
import { roleLabel } from "../parts";
import type { TenantJob } from "./alerts/alert";
import { scrapedPorts } from "./monitors";

type Spec = types.input.networking.v1.NetworkPolicySpec;
type Peer = types.input.networking.v1.NetworkPolicyPeer;
type Rule = { readonly peers: readonly Peer[]; readonly ports: readonly number[] };

/** What the policies of the monitoring namespace depend on. */
export interface MonitoringFlowArgs {
  /** Namespaces of tenants, and what is scraped there. */
  readonly tenants: readonly { readonly namespace: string; readonly jobs: readonly TenantJob[] }[];
  readonly dns: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly apiServer: { readonly cidrs: readonly string[]; readonly port: number };
  readonly vault: {
    readonly cidrs: readonly string[];
    readonly namespace?: string | undefined;
    readonly labels: Readonly<Record<string, string>>;
    readonly port: number;
  };
  /** Namespace of the CSI driver; absent where it isn't scraped. */
  readonly driver: string | undefined;
  /** Where receivers are; empty: any public address. Absent: there are none. */
  readonly receivers: readonly string[] | undefined;
  /** Where samples are sent besides; empty: any public address. Absent: nowhere. */
  readonly remoteWrite: readonly string[] | undefined;
  /** Namespaces whose pods may call Grafana. Absent: there is no Grafana. */
  readonly grafana: readonly string[] | undefined;
}

/** Ports of what runs in the monitoring namespace. */
export const monitoringPorts = {
  prometheus: 9090,
  alertmanager: 9093,
  operator: 8080,
  driver: 8095,
  grafana: 3000,
} as const;

const mesh = 9094;
const name = "app.kubernetes.io/name";
const own = (program: string): Peer => ({ podSelector: { matchLabels: { [name]: program } } });
const blocks = (cidrs: readonly string[]): Peer[] => cidrs.map((cidr) => ({ ipBlock: { cidr } }));
const world: Peer = { ipBlock: { cidr: "0.0.0.0/0", except: [...privateRanges] } };
const tcp = (rules: readonly Rule[]): { peers: Peer[]; ports: types.input.networking.v1.NetworkPolicyPort[] }[] =>
  rules
    .filter(({ peers }) => peers.length > 0)
    .map(({ peers, ports }) => ({
      peers: [...peers],
      ports: ports.flatMap((port) =>
        // Alertmanagers tell each other of what they sent, by both protocols.
        (port === mesh ? ["TCP", "UDP"] : ["TCP"]).map((protocol) => ({ port, protocol })),
      ),
    }));

function spec(
  program: string,
  dns: MonitoringFlowArgs["dns"] | undefined,
  incoming: readonly Rule[],
  outgoing: readonly Rule[],
): Spec {
  const names =
    dns === undefined
      ? []
      : [
          {
            to: [{ ...inNamespace(dns.namespace), podSelector: { matchLabels: { ...dns.labels } } }],
            ports: ["UDP", "TCP"].map((protocol) => ({ port: 53, protocol })),
          },
        ];
  return {
    podSelector: { matchLabels: { [name]: program } },
    policyTypes: ["Ingress", "Egress"],
    ingress: tcp(incoming).map(({ peers, ports }) => ({ from: peers, ports })),
    egress: [...names, ...tcp(outgoing).map(({ peers, ports }) => ({ to: peers, ports }))],
  };
}

/** The network policies of the monitoring namespace by the program that each selects; all else is denied. */
export function monitoringPolicies(args: MonitoringFlowArgs): Readonly<Record<string, Spec>> {
  const { dns, apiServer, vault, driver, receivers, remoteWrite, grafana } = args;
  const api: Rule = { peers: blocks(apiServer.cidrs), ports: [apiServer.port] };
  const store: Rule = {
    peers: [
      ...blocks(vault.cidrs),
      ...(vault.namespace === undefined
        ? []
        : [{ ...inNamespace(vault.namespace), podSelector: { matchLabels: { ...vault.labels } } }]),
    ],
    ports: [vault.port],
  };
  const outside = (cidrs: readonly string[] | undefined): Rule => ({
    peers: cidrs === undefined ? [] : cidrs.length === 0 ? [world] : blocks(cidrs),
    ports: [443],
  });
  const tenants = args.tenants.flatMap(({ namespace, jobs }) =>
    jobs.map((job) => ({
      peers: [{ ...inNamespace(namespace), podSelector: { matchLabels: { [roleLabel]: job } } }],
      ports: scrapedPorts[job],
    })),
  );
  const { prometheus, alertmanager, operator } = monitoringPorts;
  return {
    prometheus: spec(
      "prometheus",
      dns,
      [
        { peers: [own("prometheus")], ports: [prometheus] },
        ...(grafana === undefined ? [] : [{ peers: [own("grafana")], ports: [prometheus] }]),
      ],
      [
        api,
        store,
        ...tenants,
        ...(driver === undefined
          ? []
          : [
              {
                peers: [
                  {
                    ...inNamespace(driver),
                    podSelector: { matchLabels: { [name]: "secrets-store-csi-driver" } },
                  },
                ],
                ports: [monitoringPorts.driver],
              },
            ]),
        { peers: [own("prometheus")], ports: [prometheus] },
        { peers: [own("alertmanager")], ports: [alertmanager] },
        { peers: [own("prometheus-operator")], ports: [operator] },
        outside(remoteWrite),
      ],
    ),
    alertmanager: spec(
      "alertmanager",
      dns,
      [
        { peers: [own("prometheus")], ports: [alertmanager] },
        { peers: [own("alertmanager")], ports: [mesh] },
      ],
      [{ peers: [own("alertmanager")], ports: [mesh] }, outside(receivers)],
    ),
    ...(grafana === undefined
      ? {}
      : {
          grafana: spec(
            "grafana",
            dns,
            [{ peers: grafana.map(inNamespace), ports: [monitoringPorts.grafana] }],
            [{ peers: [own("prometheus")], ports: [prometheus] }],
          ),
        }),
    "prometheus-operator": spec("prometheus-operator", dns, [{ peers: [own("prometheus")], ports: [operator] }], [api]),
  };
}
