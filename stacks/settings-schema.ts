import { z } from "zod";
import { applicationSecretGroup, applicationSecrets } from "./application-secrets";
import {
  cidr,
  dnsLabel,
  dnsName,
  httpsUrl,
  labels,
  pemCertificates,
  port,
  quantity,
  quantityText,
  webUrl,
} from "./formats";
import { monitoring } from "./monitoring-schema";
import { rotation } from "./rotation-schema";
import { tenantName, tokenShieldSpec } from "./tokenshield-spec";

/** One schema for a stack's settings. The fields are the keys `tokenshield:<key>` of a stack's file. */

const owner = (what: string): z.ZodDefault<z.ZodEnum<{ this: "this"; existing: "existing" }>> =>
  z
    .enum(["this", "existing"])
    .default("existing")
    .describe(`Who owns ${what}: \`this\` stack, or another one (\`existing\`). A second owner is refused.`);

const environment = dnsLabel(20).describe(
  "Name of the environment. Mounts, policies, roles and namespaces carry it, so it can't change later.",
);

const cluster = z.strictObject({
  context: z.string().min(1).describe("Context of the kubeconfig; never the current one by chance."),
  kubeconfig: z
    .string()
    .min(1)
    .optional()
    .describe("Path of the kubeconfig. Default: KUBECONFIG, else ~/.kube/config."),
  identifier: dnsLabel().describe("A lasting name of the cluster: a changed kubeconfig alone then replaces nothing."),
  owner: owner("the cluster-wide parts (add-ons)"),
  apiServer: z
    .strictObject({
      cidrs: z.array(cidr()).min(1).describe("Addresses of the API server, for the network policies."),
      port: port().default(6443).describe("Port of the API server as pods reach it."),
    })
    .describe("Where pods reach the API server."),
  dns: z
    .strictObject({
      namespace: dnsLabel().default("kube-system").describe("Namespace of the cluster's DNS."),
      labels: labels().default({ "k8s-app": "kube-dns" }).describe("Labels of the DNS pods."),
    })
    .prefault({}),
});

const auditDevice = z.strictObject({
  name: dnsLabel(30).describe("Path of the audit device."),
  type: z.enum(["file", "socket", "syslog"]).describe("Kind of the audit device."),
  options: z.record(z.string(), z.string()).describe("Options of the device: `file_path`, `address` …"),
});

const vault = z
  .strictObject({
    address: httpsUrl().describe("Address of Vault, as the machine that deploys reaches it."),
    podAddress: httpsUrl().optional().describe("Address of Vault, as pods reach it. Default: the same."),
    caFile: z.string().min(1).optional().describe("Certificate authorities for Vault, on the machine that deploys."),
    csiCaPath: z.string().min(1).optional().describe("Path of the same file inside the pods of Vault's CSI provider."),
    namespace: z.string().min(1).optional().describe("Vault namespace (Vault Enterprise)."),
    owner: owner("the Kubernetes auth mount and the audit devices"),
    authMount: dnsLabel(40).default("kubernetes").describe("Path of the Kubernetes auth mount of this cluster."),
    kubernetes: z
      .strictObject({
        host: httpsUrl().describe("The API server as Vault reaches it."),
        reviewer: z
          .enum(["vault", "account"])
          .default("vault")
          .describe("Who reviews tokens: Vault's own account (inside the cluster), or an account made here."),
      })
      .optional()
      .describe("Needed where `owner` is `this`."),
    reach: z
      .strictObject({
        cidrs: z.array(cidr()).default([]).describe("Addresses of Vault outside the cluster."),
        namespace: dnsLabel().optional().describe("Vault's namespace inside the cluster."),
        labels: labels().default({}).describe("Labels of Vault's pods inside the cluster."),
        port: port().default(8200).describe("Vault's port."),
      })
      .describe("Where pods reach Vault, for the network policies."),
    audit: z.array(auditDevice).default([]).describe("Audit devices; at least 2 where `owner` is `this`."),
    pki: z
      .strictObject({
        rootDays: z.int().min(30).max(3650).default(3650).describe("Life of the environment's root, in days."),
        intermediateDays: z.int().min(7).max(1825).default(365).describe("Life of a tenant's intermediate, in days."),
        leafMinutes: z.int().min(5).max(1440).default(1440).describe("Life of a certificate, in minutes."),
      })
      .prefault({}),
  })
  .superRefine((value, context) => {
    if (value.owner === "this" && value.audit.length < 2) {
      context.addIssue({ code: "custom", path: ["audit"], message: "at least 2 audit devices, as owner is this" });
    }
    if (value.owner === "this" && value.kubernetes === undefined) {
      context.addIssue({ code: "custom", path: ["kubernetes"], message: "an object with host, as owner is this" });
    }
    if (value.reach.cidrs.length === 0 && value.reach.namespace === undefined) {
      context.addIssue({ code: "custom", path: ["reach"], message: "an object with cidrs or namespace" });
    }
    if (new Set(value.audit.map(({ name }) => name)).size < value.audit.length) {
      context.addIssue({ code: "custom", path: ["audit"], message: "audit devices with names of their own" });
    }
  });

const image = z.string().regex(/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)+(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$/, {
  error: "an image reference such as registry.example.com/vault:1.21.0@sha256:…",
});

const registry = z.strictObject({
  references: z
    .object({
      vault: image.describe("Image of Vault, which runs the certificate agent; it needs a shell with `nc`."),
      "ingress-proxy": image.describe("Image of the inbound proxy, built from `images/ingress-proxy`."),
      "egress-proxy": image.describe("Image of the egress proxy, built from `images/egress-proxy`."),
      tokenizer: image.describe("Image of the tokenizer."),
      rotator: image.describe("Image of the rotator, built from `images/rotator`."),
    })
    .catchall(image)
    .describe("Image references by name, from the mirror. By digest wherever possible."),
  referencesFile: z
    .string()
    .min(1)
    .optional()
    .describe("JSON file with references by name, as whoever fills the mirror writes it; `references` come first."),
  pullSecret: dnsName().optional().describe("Secret with the registry's credentials, in every tenant's namespace."),
  charts: z
    .string()
    .min(1)
    .describe("Where charts come from: `oci://…`, `https://…`, or a folder with packaged charts."),
});

const addonModes = ["managed", "existing", "none"] as const;

/** The schema of one add-on. */
function addon(chart: string, version: string, namespace: string): z.ZodPrefault<typeof shape> {
  const shape = z.strictObject({
    mode: z
      .enum(addonModes)
      .default("existing")
      .describe("`managed`: installed by this stack; `existing`: somebody else did; `none`: the cluster has none."),
    chart: z.string().min(1).default(chart).describe("Name of the chart in the mirror."),
    version: z
      .string()
      .regex(/^v?\d+\.\d+\.\d+([-+].+)?$/, { error: "a full version such as 1.2.3" })
      .default(version)
      .describe("Version of the chart."),
    namespace: dnsLabel().default(namespace).describe("Namespace that it is installed in."),
    values: z.record(z.string(), z.unknown()).default({}).describe("Helm values on top of ours. Never a secret."),
  });
  return shape.prefault({});
}

const addons = z.strictObject({
  metricsServer: addon("metrics-server", "3.13.0", "kube-system").describe("Resource metrics for autoscaling."),
  prometheusOperator: addon("prometheus-operator", "0.85.0", "monitoring").describe("Discovery of metrics and rules."),
  secretsStoreCsiDriver: addon("secrets-store-csi-driver", "1.5.4", "kube-system").describe("Secrets as files."),
  vaultCsiProvider: addon("vault-csi-provider", "1.5.0", "kube-system").describe("Vault's side of the CSI driver."),
  awsCsiProvider: addon("secrets-store-csi-driver-provider-aws", "2.1.1", "kube-system").describe(
    "The side of AWS of the CSI driver, where application secrets lie there.",
  ),
  certManager: addon("cert-manager", "1.19.1", "cert-manager").describe("Certificates where a tenant asks for it."),
});

const group = z.strictObject({
  members: z
    .literal([3, 5], { error: "3 or 5" })
    .default(3)
    .describe("Members of a replicated group: 3 or 5. A tenant without high availability has one."),
  memory: quantityText()
    .default("1Gi")
    .describe("Memory of one server, at least 704Mi; request and limit. Its buffers are sized by it."),
  cpuRequest: quantityText().default("250m").describe("CPU that one server is sure of."),
  cpuLimit: quantityText().default("2").describe("CPU that one server may take."),
  storageClass: dnsName().optional().describe("StorageClass of the volumes. Default: the cluster's default."),
  nodes: z
    .enum(["apart", "together"])
    .default("apart")
    .describe("`apart`: no two members on one node; `together`: apart where there are nodes enough."),
});

const aurora = z.strictObject({
  subnetIds: z
    .array(z.string().regex(/^subnet-[0-9a-f]+$/, { error: "subnet ids" }))
    .min(2)
    .describe("Subnets of the cluster, in at least 2 zones."),
  securityGroupIds: z
    .array(z.string().regex(/^sg-[0-9a-f]+$/, { error: "security group ids" }))
    .min(1)
    .describe("Security groups that let the cluster's pods in."),
  instances: z.int().min(2).max(15).default(2).describe("Instances, the writer among them."),
  instanceClass: z
    .string()
    .regex(/^db\.[a-z0-9]+\.[a-z0-9]+$/, { error: "an instance class such as db.r7g.large" })
    .default("db.r7g.large")
    .describe("Class of the instances."),
  engineVersion: z.string().min(1).default("8.0.mysql_aurora.3.10.0").describe("Version of Aurora MySQL."),
  backupDays: z.int().min(7).max(35).default(35).describe("How long automatic backups are kept, in days."),
});

const database = z
  .strictObject({
    kind: z
      .enum(["group", "external", "aurora"])
      .default("group")
      .describe("`group`: MySQL Group Replication in the cluster; `external`: a server of your own; `aurora`: AWS."),
    host: dnsName().optional().describe("Host of the `external` server."),
    port: port().default(3306).describe("Port of the server."),
    cidrs: z.array(cidr()).default([]).describe("Addresses of a server outside the cluster, for the network policies."),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe("Authorities of a server outside the cluster, PEM, on the machine that deploys."),
    group: group.prefault({}).describe("The group in the cluster."),
    aurora: aurora.optional().describe("The Aurora cluster of each tenant. Needed where `kind` is `aurora`."),
  })
  .superRefine(({ kind, host, cidrs, caFile, group: { memory, cpuRequest, cpuLimit }, aurora: cluster }, context) => {
    const outside = kind !== "group";
    const misplaced = (path: (string | number)[], message: string): void => {
      context.addIssue({ code: "custom", path, message });
    };
    if (outside && caFile === undefined) misplaced(["caFile"], "a file with authorities, as kind isn't group");
    if (!outside && caFile !== undefined) misplaced(["caFile"], "nothing, as kind is group");
    if (kind === "aurora" && cluster === undefined) misplaced(["aurora"], "an object, as kind is aurora");
    if (kind !== "aurora" && cluster !== undefined) misplaced(["aurora"], "nothing, as kind isn't aurora");
    if ((quantity(memory) ?? 0) < 704 * 2 ** 20) misplaced(["group", "memory"], "at least 704Mi");
    if ((quantity(cpuRequest) ?? 0) > (quantity(cpuLimit) ?? 0)) {
      misplaced(["group", "cpuRequest"], `at most the limit, ${cpuLimit}`);
    }
    if (kind !== "group" && cidrs.length === 0) {
      context.addIssue({ code: "custom", path: ["cidrs"], message: "at least one range, as kind isn't group" });
    }
    if (kind === "external" && host === undefined) {
      context.addIssue({ code: "custom", path: ["host"], message: "the server's DNS name, as kind is external" });
    }
    if (kind !== "external" && host !== undefined) {
      context.addIssue({ code: "custom", path: ["host"], message: "nothing, as kind isn't external" });
    }
  });

const cloud = z
  .strictObject({
    provider: z.enum(["none", "aws"]).default("none").describe("Cloud that gives keys, buckets and roles."),
    region: z
      .string()
      .regex(/^[a-z]{2}-[a-z]+-\d$/, { error: "a region such as eu-central-1" })
      .optional()
      .describe("AWS region."),
    oidcProviderArn: z
      .string()
      .regex(/^arn:aws[a-z-]*:iam::\d{12}:oidc-provider\/[\w./-]+$/, { error: "the ARN of an IAM OIDC provider" })
      .optional()
      .describe("The cluster's OIDC provider in IAM, for roles of service accounts."),
    backupRetentionDays: z.int().min(1).max(3650).default(365).describe("How long backups can't be deleted, in days."),
  })
  .superRefine(({ provider, region, oidcProviderArn }, context) => {
    if (provider !== "aws") return;
    for (const [name, value] of Object.entries({ region, oidcProviderArn })) {
      if (value === undefined) {
        context.addIssue({ code: "custom", path: [name], message: "a value, as provider is aws" });
      }
    }
  });

const gateway = z
  .strictObject({
    host: dnsName().describe("Name of the payment gateway; only these are intercepted."),
    port: port().default(443).describe("Its port."),
    cidrs: z.array(cidr()).default([]).describe("Its addresses; empty: any public address."),
    namespace: dnsLabel().optional().describe("Its namespace, for a gateway inside the cluster."),
    authorities: pemCertificates()
      .optional()
      .describe("Authorities that sign its certificate, PEM. Default: public ones."),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe("The same as a file, on the machine that deploys, in the place of `authorities`."),
  })
  .superRefine(({ cidrs, namespace, authorities, caFile }, context) => {
    if (caFile !== undefined && authorities === undefined) {
      context.addIssue({ code: "custom", path: ["caFile"], message: "a file that was read into authorities" });
    }
    if (namespace !== undefined && cidrs.length > 0) {
      context.addIssue({ code: "custom", path: ["cidrs"], message: "nothing, as the gateway is inside the cluster" });
    }
  });

const application = z.strictObject({
  namespace: dnsLabel().describe("Namespace of the merchant's application."),
  labels: labels()
    .refine((value) => Object.keys(value).length > 0, { error: "at least one label" })
    .describe("Labels of the application's pods."),
  port: port().describe("Port of the application's pods, for the network policies."),
  url: webUrl().describe("Where requests with tokens go: a Service of the application, `http://shop.shop.svc:8080`."),
});

const tenant = z.strictObject({
  name: tenantName().describe("Name of the tenant. Its objects, paths and keys carry it, so it can't change later."),
  namespace: dnsLabel().optional().describe("Namespace of the tenant. Default: `tokenshield-<environment>-<name>`."),
  application: application.optional().describe("The merchant's application."),
  gateways: z.array(gateway).default([]).describe("Payment gateways that get card numbers."),
  secrets: z
    .array(applicationSecretGroup)
    .default([])
    .describe("Secrets of the merchant's application: delivered as files, never generated."),
  ingressNamespaces: z
    .array(dnsLabel())
    .default([])
    .describe("Namespaces whose pods may call the inbound proxy; empty: clients come from outside the cluster."),
  spec: tokenShieldSpec.prefault({}).describe("The TokenShield spec."),
});

const certificates = z
  .strictObject({
    issuer: z
      .strictObject({
        name: dnsName().describe("Name of the issuer."),
        kind: z.enum(["Issuer", "ClusterIssuer"]).default("ClusterIssuer").describe("Kind of the issuer."),
        group: dnsName().default("cert-manager.io").describe("API group of the issuer."),
      })
      .optional()
      .describe("Issuer of cert-manager, which needs its CSI driver (`csi.cert-manager.io`) beside it."),
    authorities: pemCertificates()
      .optional()
      .describe("Authorities that sign that issuer's certificates, PEM: what the parts trust."),
  })
  .superRefine(({ issuer, authorities }, context) => {
    if (issuer !== undefined && authorities === undefined) {
      context.addIssue({
        code: "custom",
        path: ["authorities"],
        message: "certificates in PEM, as there is an issuer",
      });
    }
  });

const safety = z.strictObject({
  protect: z.boolean().default(true).describe("Refuses to delete what holds data until this is false."),
  dataOnDestroy: z
    .enum(["retain", "delete"])
    .default("retain")
    .describe("What `destroy` does with what holds data: keys, secrets, volumes."),
  imagesByDigest: z.boolean().default(true).describe("Refuses images without a digest."),
});

const autoscaling = z.strictObject({
  maxReplicas: z.int().min(1).max(100).default(10).describe("No tenant may ask for more pods of one part."),
});

/** The fields of a stack's settings, each a key of the stack's file. */
export const settingsShape = {
  environment,
  cluster: cluster.describe("The Kubernetes cluster."),
  vault: vault.describe("The Vault server."),
  registry: registry.describe("The mirror that images and charts come from."),
  addons: addons.prefault({}).describe("Cluster-wide programs that the platform builds on."),
  certificates: certificates.prefault({}).describe("Who issues, for tenants that ask for cert-manager."),
  rotation: rotation.prefault({}).describe("When secrets change."),
  applicationSecrets: applicationSecrets.prefault({}).describe("Where the tenants' application secrets lie."),
  database: database.prefault({}).describe("What holds the cards."),
  cloud: cloud.prefault({}).describe("Keys, buckets and roles of a cloud."),
  monitoring: monitoring.prefault({}).describe("Metrics and alerts."),
  safety: safety.prefault({}).describe("Guards against loss."),
  autoscaling: autoscaling.prefault({}).describe("Bounds of autoscaling."),
  tags: labels().default({}).describe("Labels and tags of every object."),
  tenants: z.array(tenant).default([]).describe("The merchants."),
} as const;

/** The schema of a stack's settings, without the rules that span its fields. */
export const settingsSchema = z.strictObject(settingsShape);

/** A stack's settings, checked, with all defaults filled in. */
export type Settings = z.output<typeof settingsSchema>;

/** One tenant of a stack's settings. */
export type TenantSettings = Settings["tenants"][number];

/** One add-on of a stack's settings. */
export type AddonSettings = Settings["addons"]["metricsServer"];
