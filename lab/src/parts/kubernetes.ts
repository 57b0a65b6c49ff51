import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { stringify } from "yaml";
import { writeFile } from "../files.ts";
import { unhealthy } from "../https.ts";
import { type Layout, paths } from "../layout.ts";
import { addresses, network, ports } from "../network.ts";
import { versions } from "../versions.ts";
import { type Ingredients, type Part, program } from "./part.ts";

const version = versions.kubernetes;
const issuer = `https://kubernetes.default.svc.${network.domain}`;

/** Who did what to what; never what was in a Secret or a token (PCI DSS 10.2.1, 3.3). */
const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi*", "/version"] },
    {
      level: "None",
      resources: [
        { group: "coordination.k8s.io", resources: ["leases"] },
        { group: "", resources: ["events"] },
      ],
    },
    { level: "Metadata", resources: [{ group: "", resources: ["secrets", "configmaps", "serviceaccounts/token"] }] },
    { level: "Metadata", resources: [{ group: "", resources: ["pods/exec", "pods/attach", "pods/portforward"] }] },
    { level: "None", verbs: ["get", "list", "watch"] },
    { level: "Metadata" },
  ],
};

/** Secrets lie in etcd under authenticated encryption (XSalsa20 and Poly1305); the key stays for the life of the data. */
function encryptionConfiguration(at: Layout): string {
  const path = paths.configuration(at, "encryption.yaml");
  if (!existsSync(path)) {
    const keys = [{ name: "key1", secret: randomBytes(32).toString("base64") }];
    const resources = [{ resources: ["secrets"], providers: [{ secretbox: { keys } }, { identity: {} }] }];
    const configuration = { apiVersion: "apiserver.config.k8s.io/v1", kind: "EncryptionConfiguration", resources };
    writeFile(path, stringify(configuration), 0o600);
  }
  return path;
}

export const apiserver: Part = {
  name: "kube-apiserver",
  version,
  patience: 60_000,
  farewell: 3_000,
  prepare: (from) => {
    const pki = (file: string): string => paths.pki(from.at, file);
    const policy = paths.configuration(from.at, "audit-policy.yaml");
    writeFile(policy, stringify(auditPolicy));
    const encryption = encryptionConfiguration(from.at);
    return {
      files: [
        policy,
        encryption,
        pki("apiserver.crt"),
        pki("ca.crt"),
        pki("front-proxy-ca.crt"),
        pki("etcd-client.crt"),
        pki("apiserver-kubelet-client.crt"),
        pki("front-proxy-client.crt"),
      ],
      words: [
        program(from, "kube"),
        "kube-apiserver",
        `--advertise-address=${network.node}`,
        `--bind-address=${network.node}`,
        `--secure-port=${ports.apiserver.port}`,
        `--service-cluster-ip-range=${network.services}`,
        `--etcd-servers=${addresses.etcd}`,
        `--etcd-cafile=${pki("etcd-ca.crt")}`,
        `--etcd-certfile=${pki("etcd-client.crt")}`,
        `--etcd-keyfile=${pki("etcd-client.key")}`,
        `--tls-cert-file=${pki("apiserver.crt")}`,
        `--tls-private-key-file=${pki("apiserver.key")}`,
        "--tls-min-version=VersionTLS12",
        `--client-ca-file=${pki("ca.crt")}`,
        "--anonymous-auth=false",
        `--kubelet-certificate-authority=${pki("ca.crt")}`,
        `--kubelet-client-certificate=${pki("apiserver-kubelet-client.crt")}`,
        `--kubelet-client-key=${pki("apiserver-kubelet-client.key")}`,
        "--kubelet-preferred-address-types=InternalIP",
        `--requestheader-client-ca-file=${pki("front-proxy-ca.crt")}`,
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        `--proxy-client-cert-file=${pki("front-proxy-client.crt")}`,
        `--proxy-client-key-file=${pki("front-proxy-client.key")}`,
        "--enable-aggregator-routing=true",
        `--service-account-issuer=${issuer}`,
        `--service-account-key-file=${pki("service-account.pub")}`,
        `--service-account-signing-key-file=${pki("service-account.key")}`,
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        `--encryption-provider-config=${encryption}`,
        `--audit-policy-file=${policy}`,
        `--audit-log-path=${paths.log(from.at, "audit")}`,
        "--audit-log-maxsize=50",
        "--audit-log-maxbackup=3",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
      ],
    };
  },
  check: ({ at }) =>
    unhealthy(at, `${addresses.apiserver}/readyz`, { client: { certificate: "admin", authority: "ca" } }),
};

/** What controller-manager and scheduler have in common: whom they trust, and where they are asked for their health. */
function controlPlane(from: Ingredients, user: string, port: number): readonly string[] {
  const kubeconfig = paths.kubeconfig(from.at, user);
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${paths.pki(from.at, "loopback.crt")}`,
    `--tls-private-key-file=${paths.pki(from.at, "loopback.key")}`,
    "--leader-elect=false",
    "--profiling=false",
  ];
}

const controlPlaneFiles = (from: Ingredients, user: string): readonly string[] => [
  paths.kubeconfig(from.at, user),
  paths.pki(from.at, "loopback.crt"),
];

export const controllerManager: Part = {
  name: "kube-controller-manager",
  version,
  patience: 60_000,
  prepare: (from) => ({
    files: controlPlaneFiles(from, "controller-manager"),
    words: [
      program(from, "kube"),
      "kube-controller-manager",
      ...controlPlane(from, "controller-manager", ports.controllerManager.port),
      `--root-ca-file=${paths.pki(from.at, "ca.crt")}`,
      `--service-account-private-key-file=${paths.pki(from.at, "service-account.key")}`,
      `--cluster-signing-cert-file=${paths.pki(from.at, "ca.crt")}`,
      `--cluster-signing-key-file=${paths.pki(from.at, "ca.key")}`,
      `--service-cluster-ip-range=${network.services}`,
      "--use-service-account-credentials=true",
    ],
  }),
  check: ({ at }) => unhealthy(at, `https://127.0.0.1:${ports.controllerManager.port}/healthz`),
};

export const scheduler: Part = {
  name: "kube-scheduler",
  version,
  patience: 60_000,
  prepare: (from) => ({
    files: controlPlaneFiles(from, "scheduler"),
    words: [program(from, "kube"), "kube-scheduler", ...controlPlane(from, "scheduler", ports.scheduler.port)],
  }),
  check: ({ at }) => unhealthy(at, `https://127.0.0.1:${ports.scheduler.port}/healthz`),
};

export const proxy: Part = {
  name: "kube-proxy",
  version,
  patience: 60_000,
  prepare: (from) => {
    const file = paths.configuration(from.at, "kube-proxy.yaml");
    const configuration = {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      clientConnection: { kubeconfig: paths.kubeconfig(from.at, "proxy") },
      clusterCIDR: network.pods,
      hostnameOverride: "lab",
      mode: "iptables",
      iptables: { localhostNodePorts: false, minSyncPeriod: "100ms" },
      conntrack: { maxPerCore: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
      oomScoreAdj: 0,
      healthzBindAddress: `127.0.0.1:${ports.proxyHealth.port}`,
      metricsBindAddress: `127.0.0.1:${ports.proxyMetrics.port}`,
      nodePortAddresses: ["primary"],
    };
    writeFile(file, stringify(configuration));
    return {
      files: [file, paths.kubeconfig(from.at, "proxy")],
      words: [program(from, "kube"), "kube-proxy", `--config=${file}`],
    };
  },
  check: ({ at }) => unhealthy(at, `http://127.0.0.1:${ports.proxyHealth.port}/healthz`),
};

/** Name servers that pods can reach: a resolver on the host's loopback would, in a pod, be the pod itself. */
export function nameServers(resolvConf: string): readonly string[] {
  const servers = [...resolvConf.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
  return servers.filter((server) => !server.startsWith("127.") && server !== "::1" && server !== "");
}

/** @returns the host's name servers, those behind systemd's stub resolver included */
export function hostNameServers(): readonly string[] {
  const files = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"].filter((file) => existsSync(file));
  return files.map((file) => nameServers(readFileSync(file, "utf8"))).find((servers) => servers.length > 0) ?? [];
}
