import { parsePath, resetPath } from "../property/path.ts";
import type { PropertyMap } from "../property/value.ts";
import type { Goal } from "../resource/goal.ts";
import { newState, type ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";

/** The state that a goal asks for, before its provider has seen it. */
export function desiredState(
  urn: Urn,
  goal: Goal,
  old: ResourceState | undefined,
  alias: Urn | undefined,
): ResourceState {
  return newState({
    urn,
    type: goal.type,
    custom: goal.custom,
    inputs: goal.properties,
    parent: goal.parent,
    protect: goal.protect ?? false,
    dependencies: goal.dependencies,
    provider: goal.provider,
    propertyDependencies: goal.propertyDependencies,
    additionalSecretOutputs: goal.additionalSecretOutputs,
    aliases: alias === undefined ? [] : [alias],
    customTimeouts: goal.customTimeouts,
    importId: goal.importId,
    retainOnDelete: goal.retainOnDelete ?? false,
    deletedWith: goal.deletedWith,
    replaceWith: goal.replaceWith,
    created: old?.created ?? "",
    modified: old?.modified ?? "",
    sourcePosition: goal.sourcePosition,
    stackTrace: goal.stackTrace,
    ignoreChanges: goal.ignoreChanges,
    hideDiff: goal.hideDiff,
    replaceOnChanges: goal.replaceOnChanges,
    replacementTrigger: goal.replacementTrigger,
    refreshBeforeUpdate: old?.refreshBeforeUpdate ?? false,
    resourceHooks: goal.resourceHooks,
  });
}

/** New inputs with the ignored properties set back to their old values, and the paths where that can't be done. */
export function ignoreChanges(
  inputs: PropertyMap,
  old: PropertyMap,
  paths: readonly string[],
): { readonly inputs: PropertyMap; readonly invalidPaths: readonly string[] } {
  let kept = inputs;
  const invalidPaths: string[] = [];
  for (const path of paths) {
    const reset = resetPath(parsePath(path), old, kept);
    if (reset === undefined) invalidPaths.push(path);
    else kept = reset;
  }
  return { inputs: kept, invalidPaths };
}
