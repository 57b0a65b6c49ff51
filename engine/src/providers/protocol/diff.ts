import type { DiffResult, PropertyChange } from "./provider.ts";
import { Secret, UNKNOWN, isList, isMap, sameValue } from "./value.ts";
import type { PropertyMap, PropertyValue } from "./value.ts";

/** A step into a value: a key of an object or an index of an array. */
export type PathStep = string | number;

/** @returns the path as Pulumi writes it: `spec.ports[0]["a.b"]` */
export function formatPath(path: readonly PathStep[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") {
      return `${text}[${step}]`;
    }
    if (/[."[\]]/.test(step)) {
      return `${text}["${step.replaceAll('"', '\\"')}"]`;
    }
    return text === "" ? step : `${text}.${step}`;
  }, "");
}

/** Reads a property path as users write it in `ignoreChanges`; `*` stays a step of its own. */
export function parsePath(path: string): PathStep[] {
  const steps: PathStep[] = [];
  const grammar = /\.?([^.[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]/gy;
  while (grammar.lastIndex < path.length) {
    const start = grammar.lastIndex;
    const [, key, quoted, index] = grammar.exec(path) ?? [];
    if (key !== undefined) {
      steps.push(key);
    } else if (quoted !== undefined) {
      steps.push(quoted.replaceAll('\\"', '"'));
    } else if (index !== undefined) {
      steps.push(index === "*" ? index : Number(index));
    } else {
      throw new Error(`property path ${path}: expected a key or an index at position ${start}`);
    }
  }
  return steps;
}

/** @returns true if `path` is `prefix` or lies below it; `*` in the prefix stands for any step */
export function isBelow(path: readonly PathStep[], prefix: readonly PathStep[]): boolean {
  return prefix.length <= path.length && prefix.every((step, index) => step === "*" || step === path[index]);
}

/** Collects the leaves at which two values differ. An unknown new value counts as a change. */
export function changedPaths(
  left: PropertyValue | undefined,
  right: PropertyValue | undefined,
  path: readonly PathStep[] = [],
): { readonly path: readonly PathStep[]; readonly change: "add" | "delete" | "update" }[] {
  if (left instanceof Secret) {
    return changedPaths(left.reveal(), right, path);
  }
  if (right instanceof Secret) {
    return changedPaths(left, right.reveal(), path);
  }
  if (left === undefined) {
    return right === undefined ? [] : [{ path, change: "add" }];
  }
  if (right === undefined) {
    return [{ path, change: "delete" }];
  }
  if (isMap(left) && isMap(right)) {
    return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) =>
      changedPaths(left[key], right[key], [...path, key]),
    );
  }
  if (isList(left) && isList(right)) {
    return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => index).flatMap((index) =>
      changedPaths(left[index], right[index], [...path, index]),
    );
  }
  return right !== UNKNOWN && sameValue(left, right) ? [] : [{ path, change: "update" }];
}

/**
 * Compares old with new properties.
 * @param replaces tells for a changed path whether the change forces a replacement
 */
export function diffProperties(
  olds: PropertyMap,
  news: PropertyMap,
  options: {
    readonly replaces: (path: readonly PathStep[]) => boolean;
    readonly ignoreChanges?: readonly string[];
    readonly deleteBeforeReplace?: boolean;
  },
): DiffResult {
  const ignored = (options.ignoreChanges ?? []).map(parsePath);
  const changes = changedPaths(olds, news).filter(({ path }) => !ignored.some((prefix) => isBelow(path, prefix)));
  const detailed = new Map(
    changes.map(({ path, change }) => {
      const kind: PropertyChange = options.replaces(path) ? `${change}-replace` : change;
      return [formatPath(path), { change: kind, inputDiff: true }];
    }),
  );
  return {
    changes: detailed.size === 0 ? "none" : "some",
    detailed,
    deleteBeforeReplace:
      options.deleteBeforeReplace === true && [...detailed.values()].some(({ change }) => change.endsWith("replace")),
  };
}
