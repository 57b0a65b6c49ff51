import { isReplacing, replacing } from "../property/diff.ts";
import { equalValues } from "../property/equal.ts";
import { containsUnknowns, revealSecrets, type PropertyValue } from "../property/value.ts";
import { parsePath, pathContains, type PropertyPath } from "../property/path.ts";
import type { DiffResult } from "../provider/provider.ts";

/** The path by which `replaceOnChanges` asks for the replacement of a resource that failed to become ready. */
const initErrorPath = "#initerror";

/** True where a difference calls for a replacement. */
export function isReplacement(diff: DiffResult): boolean {
  if (diff.replaceKeys.length > 0) return true;
  return [...(diff.detailedDiff?.values() ?? [])].some(({ kind }) => isReplacing(kind));
}

/** A difference with the program's `replaceOnChanges` applied. */
export function applyReplaceOnChanges(
  diff: DiffResult,
  replaceOnChanges: readonly string[],
  initErrors: readonly string[],
): DiffResult {
  const hasInitErrors = initErrors.length > 0;
  if (diff.changes !== "some" && !hasInitErrors) return diff;
  const paths = replaceOnChanges.map(parsePath);
  const covered = (path: PropertyPath) => paths.some((candidate) => pathContains(candidate, path));
  const detailedDiff = diff.detailedDiff && new Map(diff.detailedDiff);
  for (const [path, entry] of diff.detailedDiff ?? []) {
    if (covered(parsePath(path))) detailedDiff?.set(path, { ...entry, kind: replacing(entry.kind) });
  }
  const replaceKeys = new Set([...diff.replaceKeys, ...diff.changedKeys.filter((key) => covered(parsePath(key)))]);
  let { changes } = diff;
  if (hasInitErrors && covered([initErrorPath])) {
    replaceKeys.add(initErrorPath);
    detailedDiff?.set(initErrorPath, { kind: "update-replace", inputDiff: false });
    changes = "some";
  }
  return { ...diff, changes, replaceKeys: [...replaceKeys], detailedDiff };
}

/** True where a replacement trigger changed: unknowns always do, and none before or after doesn't count. */
export function isTriggered(wanted: PropertyValue, had: PropertyValue): boolean {
  if (containsUnknowns(wanted) || containsUnknowns(had)) return true;
  const [after, before] = [revealSecrets(wanted), revealSecrets(had)];
  return after !== null && before !== null && !equalValues(after, before);
}
