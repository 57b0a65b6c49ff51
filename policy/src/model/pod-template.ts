import type { View } from "./view.ts";

/** Where the template of a pod lies in each kind that has one. */
const templatePaths: Readonly<Record<string, string>> = {
  Pod: "",
  PodTemplate: "template",
  Deployment: "spec.template",
  StatefulSet: "spec.template",
  DaemonSet: "spec.template",
  ReplicaSet: "spec.template",
  ReplicationController: "spec.template",
  Job: "spec.template",
  CronJob: "spec.jobTemplate.spec.template",
};

const groups: Readonly<Record<string, readonly string[]>> = {
  "core/v1": ["Pod", "PodTemplate", "ReplicationController"],
  "apps/v1": ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"],
  "batch/v1": ["Job", "CronJob"],
};

/** The types of Pulumi that hold the template of a pod, patches of them included. */
export const templateKinds: readonly string[] = Object.entries(groups).flatMap(([group, kinds]) =>
  kinds.flatMap((kind) => [`kubernetes:${group}:${kind}`, `kubernetes:${group}:${kind}Patch`]),
);

/** The kinds that keep a number of pods, and so have replicas. */
export const replicatedTypes = ["kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:StatefulSet"] as const;

/** The lists of a pod's containers. */
export const containerLists = ["initContainers", "containers", "ephemeralContainers"] as const;

/** One container of a pod, of any list. */
export interface Container {
  readonly list: (typeof containerLists)[number];
  readonly view: View;
}

/** The template of a pod, whatever kind holds it. */
export interface PodTemplate {
  /** The resource that holds it. */
  readonly owner: View;
  readonly metadata: View;
  readonly spec: View;
  /** Containers of all three lists. */
  readonly containers: readonly Container[];
}

/** The template of a pod in a resource; undefined for a kind that has none. */
export function podTemplateOf(resource: View): PodTemplate | undefined {
  const kind =
    resource.resource.type
      .split(":")
      .at(-1)
      ?.replace(/Patch$/, "") ?? "";
  const path = templatePaths[kind];
  if (path === undefined || !templateKinds.includes(resource.resource.type)) return undefined;
  const template = path === "" ? resource : resource.in(path);
  const spec = template.at("spec");
  return {
    owner: resource,
    metadata: template.at("metadata"),
    spec,
    containers: containerLists.flatMap((list) => spec.at(list).items.map((view) => ({ list, view }))),
  };
}
