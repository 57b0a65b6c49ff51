import type { Json, JsonMap } from "../protocol/value.ts";
import { annotationOf, annotations, textAt } from "./api/object.ts";
import type { ObjectKind } from "./api/object.ts";

/** What becomes of an object's dependents (Kubernetes `DeleteOptions.propagationPolicy`). */
export type Propagation = "Foreground" | "Background" | "Orphan";

/**
 * Built-in kinds that nothing is made from: no controller of Kubernetes makes objects that they own. In the foreground
 * each of them would wait for the garbage collector all the same, which takes some 14 objects a second.
 */
const leaves = new Set([
  ...["ConfigMap", "Secret", "ServiceAccount", "LimitRange", "ResourceQuota"].map((kind) => `/${kind}`),
  ...["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"].map((kind) => `rbac.authorization.k8s.io/${kind}`),
  ...["NetworkPolicy", "IngressClass"].map((kind) => `networking.k8s.io/${kind}`),
  ...["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].map(
    (kind) => `admissionregistration.k8s.io/${kind}`,
  ),
  ...["policy/PodDisruptionBudget", "scheduling.k8s.io/PriorityClass", "node.k8s.io/RuntimeClass"],
  ...["storage.k8s.io/StorageClass", "storage.k8s.io/CSIDriver", "autoscaling/HorizontalPodAutoscaler"],
]);

/** @returns how an object is deleted: as its annotation says, else with its dependents first where it may have any */
export function propagationOf({ group, kind }: ObjectKind, inputs: JsonMap): Propagation {
  switch (annotationOf(inputs, annotations.deletionPropagation).toLowerCase()) {
    case "orphan":
      return "Orphan";
    case "background":
      return "Background";
    case "foreground":
      return "Foreground";
    default:
      return leaves.has(`${group}/${kind}`) ? "Background" : "Foreground";
  }
}

/**
 * @param answer of the server to a deletion: the object while it is going, a Status once it is gone
 * (k8s.io/apiserver `registry/generic/registry/store.go`, finalizeDelete)
 */
export function isGone(answer: Json, uid: string): boolean {
  const succeeded = textAt(answer, "kind") === "Status" && textAt(answer, "status") === "Success";
  return succeeded && uid !== "" && textAt(answer, "details", "uid") === uid;
}
