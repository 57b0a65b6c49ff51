import type { JsonMap } from "../../protocol/value.ts";
import { annotationOf, annotations, kindOf } from "../api/object.ts";
import type { ObjectKind } from "../api/object.ts";
import { waitForRule } from "./expressions.ts";
import { ingressRule, serviceRule } from "./network.ts";
import { customResourceDefinitionRule, persistentVolumeRule, resourceQuotaRule, secretRule } from "./others.ts";
import { podRule } from "./pod.ts";
import type { ReadinessRule } from "./rule.ts";
import { daemonSetRule, deploymentRule, jobRule, replicationControllerRule, statefulSetRule } from "./workloads.ts";

/** By `group/kind`. PersistentVolumeClaim is missing: its rule depends on the storage class. */
const byKind: Readonly<Record<string, ReadinessRule>> = {
  "apps/Deployment": deploymentRule,
  "apps/StatefulSet": statefulSetRule,
  "apps/DaemonSet": daemonSetRule,
  "batch/Job": jobRule,
  "networking.k8s.io/Ingress": ingressRule,
  "apiextensions.k8s.io/CustomResourceDefinition": customResourceDefinitionRule,
  "/Pod": podRule,
  "/ReplicationController": replicationControllerRule,
  "/Service": serviceRule,
  "/PersistentVolume": persistentVolumeRule,
  "/ResourceQuota": resourceQuotaRule,
  "/Secret": secretRule,
};

/** Kinds whose readiness a refresh reports too, as the real provider does. */
const assessedOnRead = new Set(["Deployment", "StatefulSet", "DaemonSet", "Job", "Ingress", "Pod", "Service"]);

/** @returns true if a refresh tells whether objects of the kind are ready */
export function isAssessedOnRead({ group, kind }: ObjectKind): boolean {
  return assessedOnRead.has(kind) && byKind[`${group}/${kind}`] !== undefined;
}

/**
 * @param object inputs of the object, whose annotations `skipAwait` and `waitFor` come first
 * @returns the rule by which the object is ready, or undefined if it is ready as soon as it exists
 */
export function readinessRule(object: JsonMap): ReadinessRule | undefined {
  if (annotationOf(object, annotations.skipAwait) === "true") {
    return undefined;
  }
  const expression = annotationOf(object, annotations.waitFor);
  if (expression !== "") {
    return waitForRule(expression);
  }
  const { group, kind } = kindOf(object);
  const key = `${group}/${kind}`;
  if (key === "/Secret" && object["type"] !== "kubernetes.io/service-account-token") {
    return undefined;
  }
  return byKind[key];
}

/** @returns true for the kinds whose deletion `skipAwait` does not wait for (pulumi-kubernetes `overrides.go`) */
export function skipsDeletionWait(object: JsonMap): boolean {
  const kinds = ["Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"];
  return annotationOf(object, annotations.skipAwait) === "true" && kinds.includes(kindOf(object).kind);
}
