import { dependenciesOf, providerUrnOf, type ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";

/**
 * The dependencies among the resources of a snapshot (`pulumi` `pkg/resource/graph`). Resources are in dependency
 * order, so what a resource depends on comes before it; a URN may be there several times while replacements are
 * under way.
 */
export class DependencyGraph {
  readonly #resources: readonly ResourceState[];
  readonly #index = new Map<ResourceState, number>();
  readonly #descendants = new Map<Urn, number[]>();

  constructor(resources: readonly ResourceState[]) {
    this.#resources = resources;
    const parents = new Map<Urn, Urn>();
    resources.forEach((resource, index) => {
      this.#index.set(resource, index);
      parents.set(resource.urn, resource.parent);
      for (let parent = resource.parent; parent !== ""; parent = parents.get(parent) ?? "") {
        const descendants = this.#descendants.get(parent);
        if (descendants === undefined) this.#descendants.set(parent, [index]);
        else descendants.push(index);
      }
    });
  }

  /** True for a resource of the snapshot. */
  contains(resource: ResourceState): boolean {
    return this.#index.has(resource);
  }

  /** Makes `fresh` stand for `known` (after a refresh). */
  alias(fresh: ResourceState, known: ResourceState): void {
    const index = this.#index.get(known);
    if (index !== undefined) this.#index.set(fresh, index);
  }

  /** All that depends on a resource, directly or not, in dependency order; parents don't count. */
  dependingOn(root: ResourceState, ignored: ReadonlySet<Urn>): readonly ResourceState[] {
    const start = this.#index.get(root);
    if (start === undefined) return [];
    const affected = new Set<Urn>([root.urn]);
    const dependents: ResourceState[] = [];
    for (const candidate of this.#resources.slice(start + 1)) {
      if (ignored.has(candidate.urn)) continue;
      const provider = providerUrnOf(candidate);
      const depends =
        (provider !== undefined && affected.has(provider)) ||
        dependenciesOf(candidate).some(({ kind, urn }) => kind !== "parent" && affected.has(urn));
      if (depends) {
        dependents.push(candidate);
        affected.add(candidate.urn);
      }
    }
    return dependents;
  }

  /** What a resource depends on directly: provider, parent, dependencies and, of a component, its descendants. */
  dependenciesOf(resource: ResourceState): ReadonlySet<ResourceState> {
    const position = this.#index.get(resource) ?? 0;
    const urns = new Set(
      dependenciesOf(resource)
        .filter(({ kind }) => kind !== "parent")
        .map(({ urn }) => urn),
    );
    const provider = providerUrnOf(resource);
    if (provider !== undefined) urns.add(provider);
    const found = new Set<ResourceState>();
    for (const candidate of this.#resources.slice(0, position)) {
      if (urns.has(candidate.urn)) {
        found.add(candidate);
        if (!candidate.custom) {
          for (const index of this.#descendants.get(candidate.urn) ?? []) {
            const descendant = this.#resources[index];
            if (index < position && descendant !== undefined) found.add(descendant);
          }
        }
      }
      if (candidate.urn === resource.parent) found.add(candidate);
    }
    return found;
  }
}

/**
 * Splits resources that are to be deleted into rounds: whatever is in one round may go in parallel, and a resource's
 * round comes before those of all that it depends on.
 */
export function deletionRounds(
  condemned: readonly ResourceState[],
  graph: DependencyGraph,
): readonly (readonly ResourceState[])[] {
  const left = new Set(condemned);
  const dependencies = new Map(condemned.map((resource) => [resource, graph.dependenciesOf(resource)]));
  const rounds: ResourceState[][] = [];
  while (left.size > 0) {
    const round = [...left].filter((resource) => {
      for (const dependency of dependencies.get(resource) ?? []) if (left.has(dependency)) return false;
      return true;
    });
    if (round.length === 0) throw new Error("the resources of the state depend on each other in a circle");
    for (const resource of round) left.delete(resource);
    rounds.push(round);
  }
  return rounds.reverse();
}
