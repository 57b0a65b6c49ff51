import type { Json, JsonMap } from "../../protocol/value.ts";
import { numberAt } from "../api/object.ts";
import type { ObjectKind } from "../api/object.ts";

/** How far an object is. A `failed` one will not become ready by waiting. */
export interface Progress {
  readonly state: "ready" | "waiting" | "failed";
  /** What is waited for, for the display. */
  readonly message: string;
  /** Why it isn't ready, most telling first. */
  readonly reasons: readonly string[];
}

/** What a rule sees: the object, and the objects of other kinds in its namespace that it asked for. */
export interface Observation {
  readonly object: JsonMap;
  /** The object before this operation; undefined for one that was created. */
  readonly before: JsonMap | undefined;
  /** By plural name, for instance `pods`. */
  readonly related: Readonly<Record<string, readonly JsonMap[]>>;
  /** Milliseconds since the operation was done. */
  readonly waited: number;
}

/** When objects of a kind are ready. Pure: the same observation gives the same progress. */
export interface ReadinessRule {
  /** Kinds of the same namespace that the rule looks at, by plural name. */
  readonly watches?: Readonly<Record<string, ObjectKind>>;
  /** True if the passing of time alone can make an object ready. */
  readonly settles?: boolean;
  /** Default time limit in seconds, where it isn't 600. */
  readonly limit?: number;
  assess(observation: Observation): Progress;
}

export const pods: ObjectKind = { group: "", version: "v1", kind: "Pod" };
export const replicaSets: ObjectKind = { group: "apps", version: "v1", kind: "ReplicaSet" };
export const persistentVolumeClaims: ObjectKind = { group: "", version: "v1", kind: "PersistentVolumeClaim" };
export const endpointSlices: ObjectKind = { group: "discovery.k8s.io", version: "v1", kind: "EndpointSlice" };

export function ready(message: string): Progress {
  return { state: "ready", message, reasons: [] };
}

export function waiting(message: string, reasons: readonly string[] = []): Progress {
  return { state: "waiting", message, reasons };
}

export function failed(message: string, reasons: readonly string[] = []): Progress {
  return { state: "failed", message, reasons };
}

/** @returns true if the controller has not yet seen the object as it is now, so that its status is of the past */
export function isStale(object: Json): boolean {
  return (numberAt(object, "status", "observedGeneration") ?? 0) < (numberAt(object, "metadata", "generation") ?? 0);
}
