import { isBelow, parsePath } from "../protocol/diff.ts";
import type { PathStep } from "../protocol/diff.ts";
import { ProviderError } from "../protocol/errors.ts";
import type { DiffRequest, DiffResult } from "../protocol/provider.ts";
import { containsUnknown, withoutSecrets } from "../protocol/value.ts";
import type { JsonMap, PropertyMap } from "../protocol/value.ts";
import { ApiError } from "./api/errors.ts";
import { annotationOf, annotations, kindOf, nameOf, namespaceOf } from "./api/object.ts";
import { applyChange } from "./apply.ts";
import type { Cluster } from "./cluster.ts";
import { immutablePaths } from "./immutable.ts";
import { normalizeInputs, toManifest, toSdkKeys } from "./manifest.ts";
import { fieldManagerOf, isAutonamed } from "./naming.ts";
import { changedFields, detailedDiff } from "./object-diff.ts";
import type { FieldChange } from "./object-diff.ts";
import { jobRule } from "./readiness/workloads.ts";
import { readState } from "./state.ts";
import { assessOnce } from "./wait.ts";

/** Compares an object with its new inputs; what can't change in place replaces it. */
export async function diffObject(cluster: Cluster, request: DiffRequest): Promise<DiffResult> {
  const { inputs, live } = readState(request.olds);
  const normalized = normalizeInputs(request.news);
  // Charts give the manifests' own keys (`x-kubernetes-…`), programs the SDK's.
  const given = withoutSecrets(normalized) as PropertyMap;
  const news = containsUnknown(given) ? given : (toSdkKeys(given as unknown as JsonMap) as PropertyMap);
  const found = changedFields(toSdkKeys(inputs), toSdkKeys(live), news, request.ignoreChanges);
  const immutable = immutablePaths(kindOf(live), live, cluster.settings.mutability);
  const known = detailedDiff(found, immutable);
  const isReplaced = [...known.values()].some(({ change }) => change.endsWith("replace"));
  const detailed =
    found.length > 0 && !isReplaced && !containsUnknown(news)
      ? detailedDiff(found, await refusedPaths(cluster, request, toManifest(normalized), found))
      : known;
  const unready = await isUnreadyJob(cluster, news, live);
  const replaces = unready ? [`metadata.annotations["${annotations.replaceUnready}"]`] : [];
  const replaced = unready || [...detailed.values()].some(({ change }) => change.endsWith("replace"));
  return {
    changes: detailed.size > 0 || unready ? "some" : "none",
    detailed,
    replaces,
    deleteBeforeReplace: replaced && keepsItsName(news, live),
  };
}

/** The new object would need the old one's name: the old one must go first. */
function keepsItsName(news: PropertyMap, live: JsonMap): boolean {
  if (isAutonamed(news) || containsUnknown(news["metadata"] ?? null)) {
    return false;
  }
  const manifest = news as unknown as JsonMap;
  const namespace = namespaceOf(manifest);
  return nameOf(manifest) === nameOf(live) && (namespace === "" || namespace === namespaceOf(live));
}

/**
 * Asks the server by a dry run whether it refuses the change because fields are immutable, and which of the changed
 * paths those are. Kinds differ in this more than any table knows, custom resources above all.
 */
async function refusedPaths(
  cluster: Cluster,
  { urn, olds, ignoreChanges }: DiffRequest,
  manifest: JsonMap,
  found: readonly FieldChange[],
): Promise<readonly (readonly PathStep[])[]> {
  const fieldManager = readState(olds).fieldManager || fieldManagerOf(urn);
  try {
    const live = await cluster.client.get(kindOf(manifest), namespaceOf(manifest), nameOf(manifest));
    if (live !== undefined) {
      await applyChange(cluster, { urn, manifest, fieldManager, mode: "preview" }, live, ignoreChanges);
    }
    return [];
  } catch (error) {
    if (error instanceof ApiError && error.isImmutable) {
      const named = error.causes.flatMap(({ field }) => pathOf(field));
      const hit = named.filter((path) => found.some((one) => isBelow(one.path, path) || isBelow(path, one.path)));
      return hit.length > 0 ? hit : found.map(({ path }) => path);
    }
    if (error instanceof ProviderError || !cluster.isKnown) {
      // Any other refusal is the update's to report, with all its reasons.
      return [];
    }
    throw error;
  }
}

/** The server's field path, such as `spec.ports[0].port`, or none where it is no path. */
function pathOf(field: string): readonly (readonly PathStep[])[] {
  try {
    return field === "" || field === "<nil>" ? [] : [parsePath(field)];
  } catch {
    return [];
  }
}

/** A Job marked `pulumi.com/replaceUnready` is replaced while it isn't complete. */
async function isUnreadyJob(cluster: Cluster, news: PropertyMap, live: JsonMap): Promise<boolean> {
  const wanted = annotationOf(news as unknown as JsonMap, annotations.replaceUnready) === "true";
  if (!wanted || kindOf(live).kind !== "Job" || !cluster.isKnown) {
    return false;
  }
  const job = await cluster.client.get(kindOf(live), namespaceOf(live), nameOf(live));
  return job !== undefined && (await assessOnce(cluster.client, jobRule, job)).state !== "ready";
}
