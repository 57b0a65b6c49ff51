import type { Layout } from "../layout.ts";
import { network, ports } from "../network.ts";

/** A Kubernetes object, as it is applied. */
export type KubernetesObject = Readonly<Record<string, unknown>>;

const labels = { "app.kubernetes.io/part-of": "tokenshield-lab" };

/** What a container may do when it needs nothing: the `restricted` Pod Security profile. */
const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
} as const;

function deployment(name: string, namespace: string, pod: Readonly<Record<string, unknown>>): KubernetesObject {
  const selector = { "k8s-app": name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace, labels: { ...labels, ...selector } },
    spec: {
      replicas: 1,
      selector: { matchLabels: selector },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: { metadata: { labels: { ...labels, ...selector } }, spec: pod },
    },
  };
}

function roleWithBinding(name: string, namespace: string, rules: readonly unknown[]): readonly KubernetesObject[] {
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace, labels } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: `lab:${name}`, labels },
      rules,
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: `lab:${name}`, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: `lab:${name}` },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  ];
}

/** What the API server may do on the kubelet: logs, exec, metrics. */
const kubeletClient: KubernetesObject = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name: "lab:kube-apiserver-kubelet-client", labels },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:kubelet-api-admin" },
  subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "kube-apiserver-kubelet-client" }],
};

/** What the enforcement of network policies reads. */
const policyReader: readonly KubernetesObject[] = [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "lab:network-policies", labels },
    rules: [
      { apiGroups: [""], resources: ["pods", "namespaces"], verbs: ["list", "watch"] },
      { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["list", "watch"] },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "lab:network-policies", labels },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "lab:network-policies" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "lab-network-policies" }],
  },
];

/** @param forward name servers for names outside the cluster; without any, such names are answered as unknown */
function corefile(forward: readonly string[]): string {
  const zones = `${network.domain} in-addr.arpa ip6.arpa`;
  const beyond = forward.length === 0 ? [] : [`    forward . ${forward.join(" ")}`, "    cache 30"];
  const lines = [
    ".:53 {",
    "    errors",
    "    health :8080 {",
    "        lameduck 1s",
    "    }",
    "    ready :8181",
    `    kubernetes ${zones} {`,
    "        pods insecure",
    "        fallthrough in-addr.arpa ip6.arpa",
    "        ttl 5",
    "    }",
    "    prometheus :9153",
    ...beyond,
    "    loop",
    "    reload",
    "    loadbalance",
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

function dns(image: string, forward: readonly string[]): readonly KubernetesObject[] {
  const name = "coredns";
  const namespace = "kube-system";
  const probe = (path: string, port: number): unknown => ({
    httpGet: { path, port },
    periodSeconds: 2,
    timeoutSeconds: 2,
  });
  const container = {
    name,
    image,
    imagePullPolicy: "Never",
    args: ["-conf", "/etc/coredns/Corefile"],
    ports: [
      { name: "dns", containerPort: 53, protocol: "UDP" },
      { name: "dns-tcp", containerPort: 53, protocol: "TCP" },
      { name: "metrics", containerPort: 9153, protocol: "TCP" },
    ],
    resources: { requests: { cpu: "50m", memory: "32Mi" }, limits: { memory: "128Mi" } },
    readinessProbe: probe("/ready", 8181),
    livenessProbe: { ...(probe("/health", 8080) as object), initialDelaySeconds: 10, periodSeconds: 10 },
    securityContext: { ...restricted, runAsNonRoot: true, runAsUser: 65532 },
    volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
  };
  const pod = {
    serviceAccountName: name,
    priorityClassName: "system-cluster-critical",
    dnsPolicy: "Default",
    // Binding port 53 without root: the kernel lets a pod's own network namespace say from which port on it may.
    securityContext: { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] },
    containers: [container],
    volumes: [{ name: "config", configMap: { name } }],
  };
  return [
    ...roleWithBinding(name, namespace, [
      { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs: ["list", "watch"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ]),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace, labels },
      data: { Corefile: corefile(forward) },
    },
    deployment(name, namespace, pod),
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace, labels: { ...labels, "k8s-app": "kube-dns" } },
      spec: {
        clusterIP: network.dnsService,
        selector: { "k8s-app": name },
        ports: [
          { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
          { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
          { name: "metrics", port: 9153, protocol: "TCP", targetPort: 9153 },
        ],
      },
    },
  ];
}

/** The default StorageClass: a folder of the host for each claim. */
function storage(at: Layout, image: string, helperImage: string): readonly KubernetesObject[] {
  const name = "local-path-provisioner";
  const namespace = "local-path-storage";
  const script = (line: string): string => `#!/bin/sh\nset -eu\n${line}\n`;
  const helperPod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "helper-pod" },
    spec: { containers: [{ name: "helper-pod", image: helperImage, imagePullPolicy: "Never" }] },
  };
  const configuration = {
    nodePathMap: [{ node: "DEFAULT_PATH_FOR_NON_LISTED_NODES", paths: [`${at.state}/volumes`] }],
  };
  const arguments_ = ["start", "--config", "/etc/config/config.json", "--service-account-name", name];
  const container = {
    name,
    image,
    imagePullPolicy: "Never",
    command: [
      "/local-path-provisioner",
      ...arguments_,
      "--configmap-name",
      "local-path-config",
      "--helper-image",
      helperImage,
    ],
    env: [{ name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } }],
    resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "128Mi" } },
    securityContext: { ...restricted, runAsNonRoot: true, runAsUser: 65532 },
    volumeMounts: [{ name: "config", mountPath: "/etc/config", readOnly: true }],
  };
  return [
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, labels: { ...labels, "pod-security.kubernetes.io/enforce": "privileged" } },
    },
    ...roleWithBinding(name, namespace, [
      {
        apiGroups: [""],
        resources: ["nodes", "persistentvolumeclaims", "configmaps", "pods/log"],
        verbs: ["get", "list", "watch"],
      },
      {
        apiGroups: [""],
        resources: ["pods", "persistentvolumes"],
        verbs: ["get", "list", "watch", "create", "patch", "update", "delete"],
      },
      { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
      { apiGroups: ["storage.k8s.io"], resources: ["storageclasses"], verbs: ["get", "list", "watch"] },
    ]),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "local-path-config", namespace, labels },
      data: {
        "config.json": JSON.stringify(configuration),
        setup: script('mkdir -m 0777 -p "$VOL_DIR"'),
        teardown: script('rm -rf "$VOL_DIR"'),
        "helperPod.yaml": JSON.stringify(helperPod),
      },
    },
    deployment(name, namespace, {
      serviceAccountName: name,
      securityContext: { seccompProfile: { type: "RuntimeDefault" } },
      containers: [container],
      volumes: [{ name: "config", configMap: { name: "local-path-config" } }],
    }),
    {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: "local-path", labels, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "rancher.io/local-path",
      volumeBindingMode: "WaitForFirstConsumer",
      reclaimPolicy: "Delete",
    },
  ];
}

/** Vault runs on the host; in the cluster it has the name that a Vault installed there would have. */
function vaultService(): readonly KubernetesObject[] {
  const namespace = "vault";
  const reviewer = "vault-token-reviewer";
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "vault", namespace, labels },
      spec: { ports: [{ name: "https", port: ports.vault.port, protocol: "TCP" }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "vault-host", namespace, labels: { ...labels, "kubernetes.io/service-name": "vault" } },
      addressType: "IPv4",
      endpoints: [{ addresses: [network.node], conditions: { ready: true } }],
      ports: [{ name: "https", port: ports.vault.port, protocol: "TCP" }],
    },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: reviewer, namespace, labels } },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: reviewer, namespace, labels, annotations: { "kubernetes.io/service-account.name": reviewer } },
      type: "kubernetes.io/service-account-token",
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: `lab:${reviewer}`, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:auth-delegator" },
      subjects: [{ kind: "ServiceAccount", name: reviewer, namespace }],
    },
  ];
}

/**
 * Everything that the lab puts into its cluster. Add-ons of the platform are not among it: the program installs them.
 *
 * @param image gives the reference of one of the lab's images
 */
export function clusterObjects(
  at: Layout,
  image: (name: string) => string,
  forward: readonly string[],
): readonly KubernetesObject[] {
  return [
    kubeletClient,
    ...policyReader,
    ...dns(image("coredns"), forward),
    ...storage(at, image("local-path-provisioner"), image("busybox")),
    ...vaultService(),
  ];
}
