/**
 * The lab's addresses. Pods and services have ranges of their own; the bridge's address is the node's address, the
 * pods' gateway, and where the API server and Vault listen: reachable from pods and host, and from nowhere else.
 */
export const network = {
  bridge: "tokenshield0",
  node: "10.213.0.1",
  pods: "10.213.0.0/16",
  services: "10.214.0.0/16",
  /** The first address of the service range: what `kubernetes.default.svc` resolves to. */
  kubernetesService: "10.214.0.1",
  dnsService: "10.214.0.10",
  domain: "cluster.local",
} as const;

/** A TCP port that a part of the lab listens on. */
export interface ListeningPort {
  readonly part: string;
  readonly address: string;
  readonly port: number;
}

const loopback = "127.0.0.1";

export const ports = {
  etcd: { part: "etcd", address: loopback, port: 12379 },
  etcdPeer: { part: "etcd", address: loopback, port: 12380 },
  apiserver: { part: "kube-apiserver", address: network.node, port: 6443 },
  controllerManager: { part: "kube-controller-manager", address: loopback, port: 10257 },
  scheduler: { part: "kube-scheduler", address: loopback, port: 10259 },
  kubelet: { part: "kubelet", address: network.node, port: 10250 },
  kubeletHealth: { part: "kubelet", address: loopback, port: 10248 },
  proxyHealth: { part: "kube-proxy", address: loopback, port: 10256 },
  proxyMetrics: { part: "kube-proxy", address: loopback, port: 10249 },
  vault: { part: "vault", address: network.node, port: 8200 },
  vaultCluster: { part: "vault", address: network.node, port: 8201 },
} as const satisfies Record<string, ListeningPort>;

export const addresses = {
  apiserver: `https://${network.node}:${ports.apiserver.port}`,
  etcd: `https://${loopback}:${ports.etcd.port}`,
  vault: `https://${network.node}:${ports.vault.port}`,
  /** How pods reach Vault. */
  vaultInCluster: "https://vault.vault.svc:8200",
} as const;
