import { setTimeout as sleep } from "node:timers/promises";
import { ProviderError } from "../protocol/errors.ts";
import type { JsonMap } from "../protocol/value.ts";
import { ApiError } from "./api/errors.ts";
import { annotationOf, annotations, idOf, kindOf, nameOf, namespaceOf } from "./api/object.ts";
import type { Cluster } from "./cluster.ts";
import { isManagedBy, takeOver, withoutIgnored } from "./field-managers.ts";

/** One object to apply. */
export interface Application {
  readonly urn: string;
  readonly manifest: JsonMap;
  readonly fieldManager: string;
  readonly mode: "update" | "preview";
}

/** Waits before trying again what is missing as yet: the namespace of an object, the CRD of a custom resource. */
const retries = [250, 500, 1_000, 2_000, 4_000, 8_000];

/**
 * Creates an object, its fields owned by this manager; the first change hands them over to server-side apply. An object
 * that exists is refused, unless this resource made it: its creation was cut off before the state had it.
 */
export async function applyNew(cluster: Cluster, application: Application): Promise<JsonMap> {
  const { manifest, mode } = application;
  return retryMissing(cluster, application, () => {
    if (mode === "preview" || cluster.settings.existingObjects === "adopt") {
      // At preview the old object may still hold the name that its replacement will take: conflicts mean nothing.
      return apply(cluster, application, mode === "preview" || isForced(cluster, manifest));
    }
    return create(cluster, application);
  });
}

async function create(cluster: Cluster, application: Application): Promise<JsonMap> {
  const { manifest, fieldManager, urn } = application;
  try {
    return await cluster.client.create(manifest, {
      ...{ fieldManager, signal: cluster.cancelled },
      onWarning: (text) => {
        cluster.log.warning(urn, text);
      },
    });
  } catch (error) {
    if (!(error instanceof ApiError && error.reason === "AlreadyExists")) {
      throw error;
    }
    const existing = await cluster.client.get(kindOf(manifest), namespaceOf(manifest), nameOf(manifest));
    if (existing === undefined || !isOwn(existing, manifest, fieldManager)) {
      throw alreadyExists(manifest);
    }
    return applyChange(cluster, application, existing, []);
  }
}

/** @returns true for an object that an interrupted create of the same resource left behind */
export function isOwn(existing: JsonMap, manifest: JsonMap, fieldManager: string): boolean {
  const generated = annotationOf(manifest, annotations.autonamed) === "true";
  return isManagedBy(existing, fieldManager) || (generated && annotationOf(existing, annotations.autonamed) === "true");
}

function alreadyExists(manifest: JsonMap): ProviderError {
  return new ProviderError(
    `${kindOf(manifest).kind} "${idOf(manifest)}" already exists in the cluster and belongs to someone else. ` +
      `To manage it from here, import it (resource option "import" with the id "${idOf(manifest)}"), ` +
      "or set upsertExistingObjects on the provider; for a renamed resource, give the new one an alias.",
  );
}

/**
 * Changes an object by server-side apply.
 * @param live the object as it is now
 * @param ignoreChanges property paths that keep what the cluster has
 */
export async function applyChange(
  cluster: Cluster,
  application: Application,
  live: JsonMap,
  ignoreChanges: readonly string[],
): Promise<JsonMap> {
  const { manifest, fieldManager, mode } = application;
  const handover = takeOver(live, fieldManager);
  if (mode === "update" && handover.length > 0) {
    await cluster.client.jsonPatch(live, handover);
  }
  const kept = withoutIgnored(manifest, live, fieldManager, ignoreChanges);
  const forced = isForced(cluster, manifest) || (mode === "preview" && handover.length > 0);
  return apply(cluster, { ...application, manifest: kept }, forced);
}

function isForced(cluster: Cluster, manifest: JsonMap): boolean {
  return cluster.settings.forceConflicts === "force" || annotationOf(manifest, annotations.patchForce) === "true";
}

async function apply(cluster: Cluster, application: Application, force: boolean): Promise<JsonMap> {
  const { manifest, fieldManager, mode, urn } = application;
  try {
    return await cluster.client.apply(manifest, {
      ...{ fieldManager, force, dryRun: mode === "preview", signal: cluster.cancelled },
      onWarning: (text) => {
        cluster.log.warning(urn, text);
      },
    });
  } catch (error) {
    throw error instanceof ApiError && error.status === 409 ? conflict(error, manifest, fieldManager) : error;
  }
}

/** Names the managers that own the fields, and the ways out. */
function conflict(error: ApiError, manifest: JsonMap, fieldManager: string): Error {
  const owners = [...error.conflicts()].map(([manager, fields]) => `"${manager}" owns ${fields.join(", ")}`);
  if (owners.length === 0) {
    return error;
  }
  return new ProviderError(
    `server-side apply of ${kindOf(manifest).kind} "${idOf(manifest)}" as field manager "${fieldManager}" conflicts: ` +
      `${owners.join("; ")}. Leave these fields to their manager (take them out, or list them in ignoreChanges), ` +
      `or take them over with the annotation ${annotations.patchForce}: "true".`,
    undefined,
    { cause: error },
  );
}

async function retryMissing(
  cluster: Cluster,
  { urn, mode }: Application,
  attempt: () => Promise<JsonMap>,
): Promise<JsonMap> {
  for (const [index, pause] of retries.entries()) {
    try {
      return await attempt();
    } catch (error) {
      if (mode === "preview" || !(error instanceof ApiError && error.isNotFound)) {
        throw error;
      }
      cluster.log.status(urn, `Retry #${index + 1}; creation failed: ${error.message}`);
      await sleep(pause, undefined, { signal: cluster.cancelled });
    }
  }
  return attempt();
}
