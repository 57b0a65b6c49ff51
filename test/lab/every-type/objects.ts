import type * as pulumi from "@pulumi/pulumi";

/** One object of Kubernetes: the type after `kubernetes:`, its name, and what it is in a version of the program. */
export interface ObjectSpec {
  readonly type: string;
  readonly name: string;
  readonly manifest: Readonly<Record<string, pulumi.Input<unknown>>>;
}

/** The namespace of all namespaced objects, and what names of cluster-wide objects begin with. */
export const namespace = "every-type";

const inNamespace = (name: string, more: object = {}) => ({ metadata: { name, namespace, ...more } });
const clusterWide = (name: string) => ({ metadata: { name: `${namespace}-${name}` } });

/** A pod template that meets the restricted profile. */
function template(image: string, app: string, script: string, restartPolicy = "Always") {
  return {
    metadata: { labels: { app } },
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "main",
          image,
          imagePullPolicy: "Never",
          command: ["/bin/sh", "-c", script],
          resources: { requests: { cpu: "1m", memory: "8Mi" }, limits: { cpu: "500m", memory: "32Mi" } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        },
      ],
    },
  };
}

const forever = "exec sleep 1000000";

/**
 * Every kind that a program commonly makes, in one version; a later one changes each of them.
 *
 * @param annotations of the Deployment, which somebody else edits
 */
export function objects(
  image: string,
  version: number,
  annotations: Readonly<Record<string, string>>,
): readonly ObjectSpec[] {
  const [labels, text] = [{ version: `v${version}` }, `v${version}`];
  const workload = (app: string) => ({
    selector: { matchLabels: { app } },
    template: template(image, app, `echo ${text}; ${forever}`),
  });
  const of = (
    type: string,
    manifest: ObjectSpec["manifest"] & { readonly metadata: { readonly name: string; readonly labels?: object } },
  ) => ({
    ...{ type, name: `${type.split(":")[1] ?? ""}-${manifest.metadata.name}`, manifest },
  });
  return [
    of("core/v1:ConfigMap", { ...inNamespace("mutable", { labels }), data: { fixed: "1" } }),
    of("core/v1:Secret", { ...inNamespace("replaced"), stringData: { password: text } }),
    of("core/v1:ServiceAccount", { ...inNamespace("account", { labels }), automountServiceAccountToken: false }),
    of("core/v1:LimitRange", {
      ...inNamespace("limits"),
      spec: { limits: [{ type: "Pod", max: { memory: `${255 + version}Mi` } }] },
    }),
    of("core/v1:ResourceQuota", { ...inNamespace("quota"), spec: { hard: { pods: `${30 + version}` } } }),
    of("core/v1:PersistentVolumeClaim", {
      ...inNamespace("claim", { labels }),
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
    }),
    of("core/v1:Service", {
      ...inNamespace("web"),
      spec: { selector: { app: "web" }, ports: [{ port: 79 + version, targetPort: 8080 }] },
    }),
    of("core/v1:Pod", { ...inNamespace("pod", { labels }), spec: template(image, "pod", forever).spec }),
    of("apps/v1:Deployment", { ...inNamespace("web", { annotations }), spec: { replicas: 1, ...workload("web") } }),
    of("apps/v1:StatefulSet", {
      ...inNamespace("set"),
      spec: { replicas: 1, serviceName: "set", ...workload("set") },
    }),
    of("apps/v1:DaemonSet", { ...inNamespace("daemon"), spec: workload("daemon") }),
    of("batch/v1:Job", {
      ...inNamespace("job"),
      spec: { backoffLimit: 0, template: template(image, "job", `echo ${text}`, "Never") },
    }),
    of("batch/v1:CronJob", {
      ...inNamespace("cron"),
      spec: {
        schedule: `${version} 4 * * *`,
        jobTemplate: { spec: { template: template(image, "cron", "true", "Never") } },
      },
    }),
    of("autoscaling/v2:HorizontalPodAutoscaler", {
      ...inNamespace("scaler"),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        minReplicas: 1,
        maxReplicas: version,
      },
    }),
    of("policy/v1:PodDisruptionBudget", {
      ...inNamespace("budget"),
      spec: { maxUnavailable: version, selector: { matchLabels: { app: "web" } } },
    }),
    of("networking.k8s.io/v1:NetworkPolicy", {
      ...inNamespace("policy"),
      spec: { podSelector: {}, policyTypes: version === 1 ? ["Ingress"] : ["Ingress", "Egress"] },
    }),
    of("networking.k8s.io/v1:Ingress", {
      ...inNamespace("ingress", { annotations: { "pulumi.com/skipAwait": "true" } }),
      spec: { defaultBackend: { service: { name: "web", port: { number: 79 + version } } } },
    }),
    of("rbac.authorization.k8s.io/v1:Role", {
      ...inNamespace("role"),
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: version === 1 ? ["get"] : ["get", "list"] }],
    }),
    of("rbac.authorization.k8s.io/v1:RoleBinding", {
      ...inNamespace("binding"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: version === 1 ? "Role" : "ClusterRole", name: "role" },
      subjects: [{ kind: "ServiceAccount", name: "account", namespace }],
    }),
    of("rbac.authorization.k8s.io/v1:ClusterRole", {
      ...clusterWide("role"),
      rules: [{ nonResourceURLs: [`/every-type/${text}`], verbs: ["get"] }],
    }),
    of("rbac.authorization.k8s.io/v1:ClusterRoleBinding", {
      ...clusterWide("binding"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: `${namespace}-role` },
      subjects: [{ kind: "ServiceAccount", name: version === 1 ? "account" : "default", namespace }],
    }),
    of("scheduling.k8s.io/v1:PriorityClass", { ...clusterWide("priority"), value: version }),
    of("storage.k8s.io/v1:StorageClass", {
      ...clusterWide("class"),
      provisioner: "every-type.example/none",
      parameters: { tier: text },
    }),
    of("core/v1:PersistentVolume", {
      ...{ metadata: { name: `${namespace}-volume`, labels } },
      spec: {
        capacity: { storage: "1Mi" },
        accessModes: ["ReadWriteOnce"],
        storageClassName: `${namespace}-none`,
        hostPath: { path: "/tmp" },
      },
    }),
    of("admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy", {
      ...clusterWide("admission"),
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: ["every-type.example"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["*"] },
          ],
        },
        validations: [{ expression: "true", message: text }],
      },
    }),
    of("admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding", {
      ...clusterWide("admission"),
      spec: { policyName: `${namespace}-admission`, validationActions: version === 1 ? ["Warn"] : ["Audit"] },
    }),
    of("apiextensions.k8s.io/v1:CustomResourceDefinition", {
      metadata: { name: "shields.every-type.example" },
      spec: {
        group: "every-type.example",
        scope: "Namespaced",
        names: { kind: "Shield", plural: "shields", singular: "shield", listKind: "ShieldList" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: { spec: { type: "object", x_kubernetes_preserve_unknown_fields: true } },
              },
            },
            ...(version === 1
              ? {}
              : { additionalPrinterColumns: [{ name: "Size", type: "integer", jsonPath: ".spec.size" }] }),
          },
        ],
      },
    }),
  ];
}
