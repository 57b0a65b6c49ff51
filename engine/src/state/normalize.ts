import type { ResourceState } from "../resource/state.ts";
import {
  makeUrn,
  parseProviderReference,
  parseUrn,
  providerReference,
  rootStackType,
  type Urn,
} from "../resource/urn.ts";

/**
 * Resources with their former names replaced by the present ones wherever they are referred to (`pulumi`
 * `pkg/resource/deploy/snapshot.go` `NormalizeURNReferences`). A resource that wasn't registered yet follows its
 * renamed parent. What needn't change is the same object.
 */
export function normalizeUrns(resources: readonly ResourceState[]): readonly ResourceState[] {
  if (resources.every(({ aliases }) => aliases.length === 0)) return resources;
  const current = new Map<Urn, Urn>();
  for (const state of resources) {
    for (const alias of state.aliases) current.set(alias, state.urn);
    const parent = current.get(state.parent);
    if (parent !== undefined && parseUrn(parent).qualifiedType !== rootStackType) {
      const { stack, project, type, name } = parseUrn(state.urn);
      current.set(state.urn, makeUrn(stack, project, parent, type, name));
    }
  }
  const fix = (urn: Urn): Urn => current.get(urn) ?? urn;
  return resources.map((state) => {
    const urn = fix(state.urn);
    let provider = state.provider;
    if (provider !== "") {
      const reference = parseProviderReference(provider);
      provider = providerReference(fix(reference.urn), reference.id);
    }
    const fixed: ResourceState = {
      ...state,
      urn,
      provider,
      parent: fix(state.parent),
      dependencies: state.dependencies.map(fix),
      propertyDependencies: new Map([...state.propertyDependencies].map(([key, urns]) => [key, urns.map(fix)])),
      deletedWith: fix(state.deletedWith),
      replaceWith: state.replaceWith.map(fix),
      aliases: [],
    };
    return isUnchanged(state, fixed) ? state : fixed;
  });
}

function isUnchanged(state: ResourceState, fixed: ResourceState): boolean {
  const references = ({ urn, provider, parent, dependencies, deletedWith, replaceWith, aliases }: ResourceState) =>
    JSON.stringify([urn, provider, parent, dependencies, deletedWith, replaceWith, aliases]);
  const byProperty = (map: ResourceState["propertyDependencies"]) => JSON.stringify([...map]);
  return (
    references(state) === references(fixed) &&
    byProperty(state.propertyDependencies) === byProperty(fixed.propertyDependencies)
  );
}
