import { digest } from "../files.ts";
import type { KubernetesObject } from "../cluster/objects.ts";
import { network } from "../network.ts";

/**
 * The demo: a merchant and a payment gateway around the platform, neither of them a part of it. The lab stack's settings
 * name both (`tenants[0].application` and `.gateways`).
 */
export const merchant = {
  namespace: "merchant",
  labels: { app: "merchant" },
  port: 8000,
  url: "http://merchant.merchant.svc:8000",
} as const;
export const gateway = { namespace: "payments", host: `gateway.payments.svc.${network.domain}`, port: 443 } as const;

/** Name of the tenant whose merchant it is. */
export const tenant = "acme";

/** What the demo's objects depend on. */
export interface DemoArgs {
  /** References of the images by name. */
  readonly image: (name: "merchant" | "gateway") => string;
  /** Where the merchant sends its payments, host:port. */
  readonly egressAddress: string;
  /** What it trusts on that way, PEM. */
  readonly egressCaBundle: string;
  /** The gateway's certificate and key, PEM. */
  readonly certificate: string;
  readonly key: string;
}

const labels = { "app.kubernetes.io/part-of": "tokenshield-demo" };
const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };

/** The namespaces. They are there before the platform, which gives the merchant's application its secrets. */
export const demoNamespaces: readonly KubernetesObject[] = [merchant.namespace, gateway.namespace].map((name) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { ...labels, ...restricted } },
}));

/** The objects, namespaces first. */
export function demoObjects(args: DemoArgs): readonly KubernetesObject[] {
  const { image, egressAddress, egressCaBundle, certificate, key } = args;
  return [
    ...demoNamespaces,
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "egress-authority", namespace: merchant.namespace, labels },
      data: { "ca.crt": egressCaBundle },
    },
    ...program({
      name: "merchant",
      namespace: merchant.namespace,
      port: merchant.port,
      image: image("merchant"),
      env: {
        GATEWAY_URL: `https://${gateway.host}`,
        HTTPS_PROXY: `http://${egressAddress}`,
        NODE_EXTRA_CA_CERTS: "/trust/ca.crt",
      },
      volume: { path: "/trust", source: { configMap: { name: "egress-authority" } }, content: egressCaBundle },
    }),
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "gateway-tls", namespace: gateway.namespace, labels },
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": certificate, "tls.key": key },
    },
    ...program({
      name: "gateway",
      namespace: gateway.namespace,
      port: gateway.port,
      image: image("gateway"),
      env: { TLS_FOLDER: "/tls" },
      volume: {
        path: "/tls",
        source: { secret: { secretName: "gateway-tls", defaultMode: 0o440 } },
        content: certificate,
      },
    }),
  ];
}

interface Program {
  readonly name: string;
  readonly namespace: string;
  /** Port of the pod and of its Service alike: policies name the pod's. */
  readonly port: number;
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  /** What is mounted, and its content: the program reads it at its start only. */
  readonly volume: { readonly path: string; readonly source: object; readonly content: string };
}

function program({ name, namespace, port, image, env, volume }: Program): readonly KubernetesObject[] {
  const selector = { app: name };
  const metadata = { name, namespace, labels: { ...labels, ...selector } };
  const container = {
    name,
    image,
    imagePullPolicy: "Never",
    env: Object.entries(env).map(([variable, value]) => ({ name: variable, value })),
    ports: [{ name: "web", containerPort: port }],
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "500m", memory: "192Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [{ name: "files", mountPath: volume.path, readOnly: true }],
  };
  const pod = {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 5,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      seccompProfile: { type: "RuntimeDefault" },
      // Ports below 1024 without a capability, in the pod's own network alone.
      sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
    },
    containers: [container],
    volumes: [{ name: "files", ...volume.source }],
  };
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: selector },
        template: {
          metadata: {
            labels: { ...labels, ...selector },
            annotations: { "tokenization.io/files": digest(volume.content).slice(0, 16) },
          },
          spec: pod,
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { selector, ports: [{ name: "web", port, targetPort: port }] },
    },
  ];
}
