import { detailedInputDiff } from "../property/diff.ts";
import type { PropertyMap } from "../property/value.ts";
import { noDiff, type DiffResult } from "./provider.ts";

/** The difference of two inputs, for a provider that says only that it doesn't know. */
export function inputDiffResult(old: PropertyMap, fresh: PropertyMap): DiffResult {
  const detailedDiff = detailedInputDiff(old, fresh);
  if (detailedDiff.size === 0) return noDiff;
  const changedKeys = [...new Set([...detailedDiff.keys()].map((path) => path.split(/[.[]/, 1)[0] ?? path))].sort();
  return { ...noDiff, changes: "some", changedKeys, detailedDiff };
}
