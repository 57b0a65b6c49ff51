import { InitializationFailed, ProviderError } from "../protocol/errors.ts";
import type { CreateRequest, UpdateRequest } from "../protocol/provider.ts";
import { containsUnknown } from "../protocol/value.ts";
import type { JsonMap, PropertyMap } from "../protocol/value.ts";
import { ApiError, Unreachable } from "./api/errors.ts";
import {
  annotationOf,
  annotations,
  apiVersionOf,
  idOf,
  isCustomResourceDefinition,
  kindOf,
  nameOf,
  namespaceOf,
  withAt,
} from "./api/object.ts";
import { applyChange, applyNew } from "./apply.ts";
import { kindOfInputs, kindOfToken } from "./check.ts";
import type { Cluster } from "./cluster.ts";
import { toManifest } from "./manifest.ts";
import { fieldManagerOf } from "./naming.ts";
import { persistentVolumeClaimRule } from "./readiness/others.ts";
import { readinessRule } from "./readiness/rules.ts";
import type { ReadinessRule } from "./readiness/rule.ts";
import { readState, writeState } from "./state.ts";
import { bindingModeOf } from "./storage-class.ts";
import { NotDone, waitUntilReady } from "./wait.ts";
import { waitOptions } from "./wait-options.ts";

/** Creates the object and waits until it is ready; at preview the server says what it would be. */
export async function createObject(
  cluster: Cluster,
  request: CreateRequest,
): Promise<{ readonly id: string; readonly properties: PropertyMap }> {
  const { inputs, urn, preview } = request;
  if (
    preview &&
    (containsUnknown(inputs) || !(await cluster.serves(kindOfInputs(inputs, kindOfToken(request.type)))))
  ) {
    return { id: "", properties: inputs };
  }
  const manifest = toManifest(inputs);
  const fieldManager = annotationOf(manifest, annotations.patchFieldManager) || fieldManagerOf(urn);
  const rest = { initialApiVersion: apiVersionOf(kindOf(manifest)), fieldManager };
  if (preview) {
    const planned = await previewed(() => applyNew(cluster, { urn, manifest, fieldManager, mode: "preview" }));
    return { id: "", properties: planned === undefined ? inputs : writeState(inputs, planned, rest) };
  }
  const created = await applyNew(cluster, { urn, manifest, fieldManager, mode: "update" });
  const live = await settle(cluster, request, manifest, created, undefined, (object) =>
    writeState(inputs, object, rest),
  );
  return { id: idOf(live), properties: writeState(inputs, live, rest) };
}

/** Runs a dry run; undefined where it can say nothing: no right to, a namespace to come, an object to be replaced. */
async function previewed(run: () => Promise<JsonMap>): Promise<JsonMap | undefined> {
  try {
    return withoutServerValues(await run());
  } catch (error) {
    const silent = error instanceof ApiError && (error.status === 403 || error.isNotFound || error.isImmutable);
    if (silent || error instanceof Unreachable) {
      return undefined;
    }
    throw error;
  }
}

/** A dry run makes up an identity and a time; nothing may build on them. */
function withoutServerValues(planned: JsonMap): JsonMap {
  const invented = ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"];
  return invented.reduce<JsonMap>(
    (object, field) => withAt(object, ["metadata", field], undefined),
    withAt(planned, ["status"], undefined),
  );
}

/** Waits until the object is ready; a failure carries the object into the state. */
async function settle(
  cluster: Cluster,
  request: CreateRequest,
  manifest: JsonMap,
  applied: JsonMap,
  before: JsonMap | undefined,
  state: (object: JsonMap) => PropertyMap,
): Promise<JsonMap> {
  const isDefinition = isCustomResourceDefinition(applied);
  try {
    const rule = await ruleFor(cluster, manifest, applied);
    if (rule === undefined) {
      return applied;
    }
    return await waitUntilReady(cluster.client, rule, applied, before, waitOptions(cluster, request, manifest, rule));
  } catch (error) {
    const object = error instanceof NotDone ? error.object : applied;
    const message = error instanceof Error ? error.message : String(error);
    const reasons = error instanceof NotDone ? error.reasons : [message];
    throw new InitializationFailed(
      `${kindOf(applied).kind} "${idOf(applied)}" exists but did not become ready: ${reasons.join("; ")}`,
      idOf(applied),
      state(object),
      reasons,
    );
  } finally {
    if (isDefinition) {
      cluster.client.discovery.reset();
    }
  }
}

async function ruleFor(cluster: Cluster, manifest: JsonMap, live: JsonMap): Promise<ReadinessRule | undefined> {
  const { group, kind } = kindOf(live);
  const rule = readinessRule(manifest);
  const isClaim = group === "" && kind === "PersistentVolumeClaim";
  return rule === undefined && isClaim && annotationOf(manifest, annotations.skipAwait) !== "true"
    ? persistentVolumeClaimRule(await bindingModeOf(cluster, live))
    : rule;
}

/** Changes the object and waits until it is ready again. */
export async function updateObject(cluster: Cluster, request: UpdateRequest): Promise<PropertyMap> {
  const { inputs, urn, preview } = request;
  if (
    preview &&
    (containsUnknown(inputs) || !(await cluster.serves(kindOfInputs(inputs, kindOfToken(request.type)))))
  ) {
    return inputs;
  }
  const manifest = toManifest(inputs);
  const old = readState(request.olds);
  const fieldManager = annotationOf(manifest, annotations.patchFieldManager) || old.fieldManager || fieldManagerOf(urn);
  const rest = { initialApiVersion: old.initialApiVersion, fieldManager };
  const live = await cluster.client.get(kindOf(manifest), namespaceOf(manifest), nameOf(manifest));
  if (live === undefined) {
    throw new ProviderError(
      `${kindOf(manifest).kind} "${request.id}" is gone from the cluster; run a refresh, then it is created again`,
    );
  }
  const application = { urn, manifest, fieldManager } as const;
  if (preview) {
    const planned = await previewed(() =>
      applyChange(cluster, { ...application, mode: "preview" }, live, request.ignoreChanges),
    );
    return planned === undefined ? inputs : writeState(inputs, planned, rest);
  }
  const changed = await applyChange(cluster, { ...application, mode: "update" }, live, request.ignoreChanges);
  const settled = await settle(cluster, request, manifest, changed, live, (object) => writeState(inputs, object, rest));
  return writeState(inputs, settled, rest);
}
