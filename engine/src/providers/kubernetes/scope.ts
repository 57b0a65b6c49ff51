import type { ObjectKind } from "./api/object.ts";

/** Groups that the API server itself serves; every other group comes from a CRD or an aggregated server. */
const builtInGroups = new Set([
  ...["", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps"],
  ...["authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io"],
  ...["coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io"],
  ...["internal.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io"],
  ...["resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io"],
]);

/** Kinds of those groups that lie in no namespace (Kubernetes 1.36). */
const clusterScoped = new Set([
  ...["APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding"],
  ...[
    "ClusterTrustBundle",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "DeviceTaintRule",
    "FlowSchema",
  ],
  ...["IPAddress", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"],
  ...["MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass"],
  ...["PriorityLevelConfiguration", "ResourceSlice", "RuntimeClass", "SelfSubjectAccessReview", "SelfSubjectReview"],
  ...["SelfSubjectRulesReview", "ServiceCIDR", "StorageClass", "StorageVersion", "StorageVersionMigration"],
  ...["SubjectAccessReview", "TokenReview", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
  ...["ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass"],
]);

/** Where objects of a kind lie; undefined for a kind that is not built in. */
export function builtInScope({ group, kind }: ObjectKind): "Namespaced" | "Cluster" | undefined {
  if (!builtInGroups.has(group)) {
    return undefined;
  }
  return clusterScoped.has(kind) ? "Cluster" : "Namespaced";
}
