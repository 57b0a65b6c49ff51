import type { JsonMap } from "../../protocol/value.ts";
import { annotationOf, conditionOf, isOwnedBy, nameOf, numberAt, objectsAt, textAt } from "../api/object.ts";
import { podReasons } from "./pod.ts";
import { failed, isStale, persistentVolumeClaims, pods, ready, replicaSets, waiting } from "./rule.ts";
import type { Observation, Progress, ReadinessRule } from "./rule.ts";

const revision = "deployment.kubernetes.io/revision";

/**
 * A Deployment is ready when its controller has seen it, the ReplicaSet of its revision has as many ready Pods as it
 * asks for, the Deployment is available, no rollout is under way, and the claims that its Pods mount are bound.
 */
export const deploymentRule: ReadinessRule = {
  watches: { replicaSets, pods, persistentVolumeClaims },
  assess(observation): Progress {
    const { object, related } = observation;
    const current = annotationOf(object, revision);
    const replicaSet = (related["replicaSets"] ?? []).find(
      (candidate) => isOwnedBy(candidate, object) && annotationOf(candidate, revision) === current,
    );
    if (isStale(object) || current === "" || replicaSet === undefined) {
      return waiting("Waiting for the Deployment's controller", conditionReasons(object));
    }
    const wanted = numberAt(replicaSet, "spec", "replicas") ?? 1;
    const available = numberAt(replicaSet, "status", "readyReplicas") ?? 0;
    const reasons = (): readonly string[] => [
      ...conditionReasons(object),
      ...ownedPodReasons(observation, replicaSet),
      ...unboundClaims(observation),
    ];
    if (available < wanted) {
      return waiting(`Waiting for app ReplicaSet to be available (${available}/${wanted} Pods available)`, reasons());
    }
    if (!isRolledOut(object, wanted)) {
      return waiting("Waiting for the Deployment to be available", reasons());
    }
    const unbound = unboundClaims(observation);
    return unbound.length > 0 ? waiting("Waiting for claims to be bound", unbound) : ready("Deployment is available");
  },
};

function isRolledOut(deployment: JsonMap, wanted: number): boolean {
  const progressing = conditionOf(deployment, "Progressing");
  const rolledOut =
    progressing === undefined ||
    (textAt(progressing, "status") === "True" && textAt(progressing, "reason") === "NewReplicaSetAvailable");
  return wanted === 0 || (rolledOut && textAt(conditionOf(deployment, "Available"), "status") === "True");
}

/** Conditions that say what goes wrong. */
function conditionReasons(object: JsonMap): readonly string[] {
  return objectsAt(object, "status", "conditions")
    .filter((condition) => {
      const bad = textAt(condition, "type").endsWith("Failure") ? "True" : "False";
      return textAt(condition, "status") === bad && textAt(condition, "message") !== "";
    })
    .map((condition) => `[${textAt(condition, "reason")}] ${textAt(condition, "message")}`);
}

function ownedPodReasons({ related }: Observation, owner: JsonMap): readonly string[] {
  return (related["pods"] ?? []).filter((pod) => isOwnedBy(pod, owner)).flatMap(podReasons);
}

function unboundClaims({ object, related }: Observation): readonly string[] {
  const mounted = objectsAt(object, "spec", "template", "spec", "volumes").map((volume) =>
    textAt(volume, "persistentVolumeClaim", "claimName"),
  );
  return (related["persistentVolumeClaims"] ?? [])
    .filter((claim) => mounted.includes(nameOf(claim)) && textAt(claim, "status", "phase") !== "Bound")
    .map((claim) => `PersistentVolumeClaim "${nameOf(claim)}" is ${textAt(claim, "status", "phase")}, not Bound`);
}

/**
 * A StatefulSet is ready when its controller has seen it, all replicas are there and ready, and (unless it is updated
 * only as Pods are deleted) all are of the newest revision.
 */
export const statefulSetRule: ReadinessRule = {
  watches: { pods },
  assess(observation): Progress {
    const { object } = observation;
    if (isStale(object)) {
      return waiting("Waiting for the StatefulSet's controller");
    }
    const wanted = numberAt(object, "spec", "replicas") ?? 1;
    const count = (field: string): number => numberAt(object, "status", field) ?? 0;
    const onDelete = textAt(object, "spec", "updateStrategy", "type") === "OnDelete";
    const partition = numberAt(object, "spec", "updateStrategy", "rollingUpdate", "partition") ?? 0;
    const text = `(${count("readyReplicas")}/${wanted} Pods ready)`;
    if (count("replicas") !== wanted || count("readyReplicas") !== wanted) {
      return waiting(`Waiting for StatefulSet to create Pods ${text}`, ownedPodReasons(observation, object));
    }
    const current = textAt(object, "status", "currentRevision") === textAt(object, "status", "updateRevision");
    const updated = partition > 0 ? count("updatedReplicas") >= wanted - partition : current;
    if (!onDelete && !updated) {
      return waiting(`Waiting for StatefulSet update to roll out ${text}`, ownedPodReasons(observation, object));
    }
    return ready("StatefulSet is ready");
  },
};

/** A DaemonSet is ready when every node that should run it runs its newest Pod, available. */
export const daemonSetRule: ReadinessRule = {
  watches: { pods },
  assess(observation): Progress {
    const { object } = observation;
    if (isStale(object)) {
      return waiting("Waiting for the DaemonSet's controller");
    }
    const count = (field: string): number => numberAt(object, "status", field) ?? 0;
    const wanted = count("desiredNumberScheduled");
    const done = Math.min(
      ...["currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"].map(count),
    );
    return done < wanted
      ? waiting(`Waiting for DaemonSet (${done}/${wanted} nodes)`, ownedPodReasons(observation, object))
      : ready("DaemonSet is available on every node");
  },
};

/** A Job is ready when it is complete, and failed when it says so; a suspended one is waited for. */
export const jobRule: ReadinessRule = {
  watches: { pods },
  assess(observation): Progress {
    const { object } = observation;
    if (textAt(conditionOf(object, "Complete"), "status") === "True") {
      return ready("Job is complete");
    }
    const failure = conditionOf(object, "Failed");
    if (textAt(failure, "status") === "True") {
      const why = `[${textAt(failure, "reason")}] ${textAt(failure, "message")}`;
      return failed(`Job "${nameOf(object)}" has failed`, [why, ...ownedPodReasons(observation, object)]);
    }
    const count = (field: string): number => numberAt(object, "status", field) ?? 0;
    const progress = `(Active: ${count("active")} | Succeeded: ${count("succeeded")} | Failed: ${count("failed")})`;
    return waiting(`Waiting for Job "${nameOf(object)}" to succeed ${progress}`, ownedPodReasons(observation, object));
  },
};

/** A ReplicationController is ready when all its replicas are available. */
export const replicationControllerRule: ReadinessRule = {
  watches: { pods },
  assess(observation): Progress {
    const { object } = observation;
    const wanted = numberAt(object, "spec", "replicas") ?? 1;
    const available = numberAt(object, "status", "availableReplicas") ?? 0;
    return available < wanted
      ? waiting(`Waiting for Pods (${available}/${wanted})`, ownedPodReasons(observation, object))
      : ready("ReplicationController is available");
  },
};
