import { equalValues } from "./equal.ts";
import { formatPath, type PropertyPath } from "./path.ts";
import { isList, isMap, type PropertyMap, type PropertyValue } from "./value.ts";

/** How a property differs, as providers report it and engine events name it. */
export type DiffKind = "add" | "add-replace" | "delete" | "delete-replace" | "update" | "update-replace";

/** One entry of a detailed diff. `inputDiff` says that it compares inputs with inputs, else outputs with inputs. */
export interface PropertyDiff {
  readonly kind: DiffKind;
  readonly inputDiff: boolean;
}

/** Property paths and how each differs. */
export type DetailedDiff = ReadonlyMap<string, PropertyDiff>;

/** One difference between two values. */
export interface Change {
  readonly path: PropertyPath;
  readonly kind: "add" | "delete" | "update";
  readonly old: PropertyValue | undefined;
  readonly new: PropertyValue | undefined;
}

/** The leaves in which two maps differ; a null is the same as an absent property. */
export function changesOf(old: PropertyMap, fresh: PropertyMap): readonly Change[] {
  const changes: Change[] = [];
  compareMaps(old, fresh, [], changes);
  return changes;
}

/** The top-level keys in which two maps differ, sorted. */
export function changedKeys(old: PropertyMap, fresh: PropertyMap): readonly string[] {
  return [...new Set(changesOf(old, fresh).map((change) => String(change.path[0])))].sort();
}

/** The differences of two maps as a detailed diff of inputs. */
export function detailedInputDiff(old: PropertyMap, fresh: PropertyMap): DetailedDiff {
  return new Map(
    changesOf(old, fresh).map((change) => [formatPath(change.path), { kind: change.kind, inputDiff: true }] as const),
  );
}

function compareMaps(old: PropertyMap, fresh: PropertyMap, path: PropertyPath, into: Change[]): void {
  for (const key of [...new Set([...Object.keys(old), ...Object.keys(fresh)])].sort()) {
    compare(old[key] ?? undefined, fresh[key] ?? undefined, [...path, key], into);
  }
}

function compare(
  old: PropertyValue | undefined,
  fresh: PropertyValue | undefined,
  path: PropertyPath,
  into: Change[],
): void {
  if (old === undefined && fresh === undefined) return;
  if (old === undefined) into.push({ path, kind: "add", old, new: fresh });
  else if (fresh === undefined) into.push({ path, kind: "delete", old, new: fresh });
  else if (isList(old) && isList(fresh)) {
    for (let index = 0; index < Math.max(old.length, fresh.length); index += 1) {
      compare(old[index], fresh[index], [...path, index], into);
    }
  } else if (isMap(old) && isMap(fresh)) compareMaps(old, fresh, path, into);
  else if (!equalValues(old, fresh)) into.push({ path, kind: "update", old, new: fresh });
}

/** The kind that also replaces the resource. */
export function replacing(kind: DiffKind): DiffKind {
  return kind === "add" || kind === "delete" || kind === "update" ? `${kind}-replace` : kind;
}

/** True for a kind that replaces the resource. */
export function isReplacing(kind: DiffKind): boolean {
  return kind.endsWith("-replace");
}

/** The kind seen from the other side: an addition to the program is a deletion from the cloud. */
export function inverted(kind: DiffKind): DiffKind {
  const inversions: Record<DiffKind, DiffKind> = {
    add: "delete",
    "add-replace": "delete-replace",
    delete: "add",
    "delete-replace": "add-replace",
    update: "update",
    "update-replace": "update-replace",
  };
  return inversions[kind];
}
