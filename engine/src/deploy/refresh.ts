import type { ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";

/**
 * The resources after a refresh: refreshed ones in the place of the old ones, deleted ones gone, and whatever referred
 * to those no longer does. A child whose parent is gone has none.
 *
 * @param outcomes the refreshed state of each refreshed resource; undefined for one that is gone
 */
export function rebuiltResources(
  previous: readonly ResourceState[],
  outcomes: ReadonlyMap<ResourceState, ResourceState | undefined>,
): readonly ResourceState[] {
  const kept: ResourceState[] = [];
  const there = new Set<Urn>();
  for (const old of previous) {
    const fresh = outcomes.has(old) ? outcomes.get(old) : old;
    if (fresh === undefined) continue;
    const present = (urns: readonly Urn[]) => urns.filter((urn) => there.has(urn));
    fresh.dependencies = present(fresh.dependencies);
    fresh.propertyDependencies = new Map(
      [...fresh.propertyDependencies]
        .map(([key, urns]) => [key, present(urns)] as const)
        .filter(([, urns]) => urns.length > 0),
    );
    fresh.replaceWith = present(fresh.replaceWith);
    if (!there.has(fresh.deletedWith)) fresh.deletedWith = "";
    if (!there.has(fresh.parent)) fresh.parent = "";
    kept.push(fresh);
    there.add(fresh.urn);
  }
  return kept;
}
