import { isBelow, parsePath } from "../protocol/diff.ts";
import type { PathStep } from "../protocol/diff.ts";
import { isJsonMap } from "../protocol/value.ts";
import type { Json } from "../protocol/value.ts";
import type { ObjectKind } from "./api/object.ts";

/** Whether ConfigMaps and Secrets are changed in place (the provider's `enable…Mutable`). */
export interface Mutability {
  readonly configMaps: "mutable" | "replaced";
  readonly secrets: "mutable" | "replaced";
}

const selector = ["spec.selector"];
const podFields = [
  ...["affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases"],
  ...["hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead"],
  ...["preemptionPolicy", "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName"],
  ...["schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain"],
  ...["terminationGracePeriodSeconds", "volumes"],
].map((field) => `spec.${field}`);
const containerFields = [
  ...["args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe"],
  ...["resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy"],
  ...["tty", "volumeDevices", "volumeMounts", "workingDir"],
].flatMap((field) => [`spec.containers[*].${field}`, `spec.initContainers[*].${field}`]);
const volumeSources = [
  ...["awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker"],
  ...["gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk"],
  ...["portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"],
].map((source) => `spec.${source}`);

/** Fields whose change replaces the object, by `group/kind`; the same as the real provider's (`provider/diff.go`). */
const byKind: Readonly<Record<string, readonly string[]>> = {
  "apps/DaemonSet": selector,
  "apps/Deployment": selector,
  "apps/StatefulSet": [
    ...selector,
    ...["spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.serviceName", "spec.volumeClaimTemplates"],
  ],
  "batch/Job": [...selector, "spec.completions", "spec.parallelism", "spec.template"],
  "rbac.authorization.k8s.io/ClusterRoleBinding": ["roleRef"],
  "rbac.authorization.k8s.io/RoleBinding": ["roleRef"],
  "storage.k8s.io/StorageClass": ["parameters", "provisioner"],
  "/PersistentVolume": volumeSources,
  "/PersistentVolumeClaim": [...selector, "spec.accessModes", "spec.storageClassName", "spec.volumeName"],
  "/Pod": [...podFields, ...containerFields],
  "/ResourceQuota": ["spec.scopes"],
  "/Secret": ["type"],
  "/Service": ["spec.clusterIP"],
};

/** @returns the paths of an object whose change replaces it */
export function immutablePaths(
  kind: ObjectKind,
  object: Json,
  mutability: Mutability,
): readonly (readonly PathStep[])[] {
  const key = `${kind.group}/${kind.kind}`;
  const frozen = isJsonMap(object) && object["immutable"] === true;
  const data =
    key === "/Secret" && (mutability.secrets === "replaced" || frozen)
      ? ["data", "stringData"]
      : key === "/ConfigMap" && (mutability.configMaps === "replaced" || frozen)
        ? ["data", "binaryData"]
        : [];
  return ["metadata.name", "metadata.namespace", ...(byKind[key] ?? []), ...data].map(parsePath);
}

/** @returns true if the change of `path` to `value` touches one of the immutable paths */
export function touches(
  path: readonly PathStep[],
  value: Json | undefined,
  paths: readonly (readonly PathStep[])[],
): boolean {
  return paths.some((immutable) => isBelow(path, immutable) || holds(value, path, immutable));
}

/** A change that adds or rewrites a whole object touches what lies inside it. */
function holds(value: Json | undefined, path: readonly PathStep[], immutable: readonly PathStep[]): boolean {
  if (immutable.length <= path.length || !isBelow(immutable.slice(0, path.length), path)) {
    return false;
  }
  return reaches(value, immutable.slice(path.length));
}

function reaches(value: Json | undefined, rest: readonly PathStep[]): boolean {
  const [step, ...further] = rest;
  if (step === undefined) {
    return value !== undefined;
  }
  if (Array.isArray(value)) {
    return step === "*" && (value as readonly Json[]).some((element) => reaches(element, further));
  }
  return isJsonMap(value) && typeof step === "string" && Object.hasOwn(value, step) && reaches(value[step], further);
}
