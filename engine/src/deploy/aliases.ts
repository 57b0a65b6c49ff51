import { isProviderType, makeUrn, parseUrn, rootStackType, type Urn } from "../resource/urn.ts";
import type { Alias } from "../resource/goal.ts";

/** The names that a resource's parents went by. */
export type ParentAliases = ReadonlyMap<Urn, Urn>;

/** Where a resource lives. */
export interface Place {
  readonly stack: string;
  readonly project: string;
  readonly name: string;
  readonly type: string;
  readonly parent: Urn;
}

/**
 * All URNs that a resource may have had: its own aliases, and each of them below the parent's former name. A child
 * whose name begins with its parent's is taken to have been renamed with it.
 */
export function aliasUrns(place: Place, aliases: readonly Alias[], parents: ParentAliases): readonly Urn[] {
  const own = aliases.map((alias) => collapse(place, alias, parents));
  const urns = new Set(own);
  const parentAlias = parents.get(place.parent);
  if (place.parent !== "" && parentAlias !== undefined) {
    const parentName = parseUrn(place.parent).name;
    urns.add(inherited(place, place.type, place.name, parentName, parentAlias));
    for (const urn of own) {
      const { type, name } = parseUrn(urn);
      urns.add(inherited(place, type, name, parentName, parentAlias));
    }
  }
  return [...urns];
}

function collapse(place: Place, alias: Alias, parents: ParentAliases): Urn {
  if (alias.urn !== undefined) return alias.urn;
  let parent = place.parent;
  if (alias.parent !== undefined) parent = parents.get(alias.parent) ?? alias.parent;
  if (alias.noParent === true || (parent !== "" && parseUrn(parent).qualifiedType === rootStackType)) parent = "";
  return makeUrn(
    alias.stack ?? place.stack,
    alias.project ?? place.project,
    parent,
    alias.type ?? place.type,
    alias.name ?? place.name,
  );
}

function inherited(place: Place, type: string, name: string, parentName: string, parentAlias: Urn): Urn {
  const formerParent = parseUrn(parentAlias);
  const formerName = name.startsWith(parentName) ? `${formerParent.name}${name.slice(parentName.length)}` : name;
  return makeUrn(place.stack, place.project, parentAlias, type, formerName);
}

/** True for the providers that the engine makes by itself; they are not shown and not counted. */
export function isDefaultProvider(urn: Urn): boolean {
  const { type, name } = parseUrn(urn);
  return isProviderType(type) && name.startsWith("default");
}
