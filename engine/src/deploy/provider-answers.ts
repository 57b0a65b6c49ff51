import { inputDiffResult } from "../provider/input-diff.ts";
import type { CheckFailure, DiffRequest, DiffResult, ResourceProvider } from "../provider/provider.ts";
import type { ResourceState } from "../resource/state.ts";
import { urnName } from "../resource/urn.ts";
import { ignoreChanges } from "./desired-state.ts";

/** Asks a provider for a difference; where it doesn't know, the inputs are compared. */
export async function diffResource(provider: ResourceProvider, request: DiffRequest): Promise<DiffResult> {
  const diff = await provider.diff(request);
  if (diff.changes !== "unknown") return diff;
  const { inputs } = ignoreChanges(request.newInputs, request.oldInputs, request.ignoreChanges);
  const { changes, changedKeys, detailedDiff } = inputDiffResult(request.oldInputs, inputs);
  return { ...diff, changes, changedKeys, detailedDiff };
}

/** What a provider refuses, in words. Values aren't told: they may be secret. */
export function failureMessages(state: ResourceState, failures: readonly CheckFailure[]): readonly string[] {
  return failures.map(({ property, reason }) => {
    const what = property === "" ? "" : ` property ${property}`;
    return `${state.type} resource "${urnName(state.urn)}":${what} has a problem: ${reason}`;
  });
}
