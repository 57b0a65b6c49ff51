import { equalMaps, equalValues } from "../property/equal.ts";
import type { ResourceState } from "../resource/state.ts";

/**
 * True where nothing of a resource changed that must be in state at once; source positions and the like are written
 * with the next change (`mustWrite` of `pulumi` `pkg/backend/snapshot.go`).
 */
export function unchangedButFor(old: ResourceState, fresh: ResourceState): boolean {
  const plain = (state: ResourceState) =>
    JSON.stringify([
      state.urn,
      state.type,
      state.custom,
      state.customTimeouts,
      state.retainOnDelete,
      state.id,
      state.provider,
      state.parent,
      state.deletedWith,
      state.replaceWith,
      state.protect,
      [...state.dependencies].sort(),
      [...state.resourceHooks],
    ]);
  return (
    plain(old) === plain(fresh) &&
    equalMaps(old.inputs, fresh.inputs) &&
    equalMaps(old.outputs, fresh.outputs) &&
    equalValues(old.replacementTrigger, fresh.replacementTrigger)
  );
}
