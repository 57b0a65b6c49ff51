import type { DetailedDiff } from "../property/diff.ts";
import type { DiffResult, ResourceProvider } from "../provider/provider.ts";
import type { ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";

/** The names of steps, as engine events and histories have them (`pulumi` `sdk/go/common/apitype/history.go`). */
export type Op =
  | "same"
  | "create"
  | "update"
  | "delete"
  | "replace"
  | "create-replacement"
  | "delete-replaced"
  | "read"
  | "read-replacement"
  | "refresh"
  | "discard"
  | "discard-replaced"
  | "remove-pending-replace"
  | "import"
  | "import-replacement";

/** What the program hears of a resource. */
export interface Reply {
  readonly state: ResourceState;
}

/** Tells the program of a resource that is done. */
export type Answer = (reply: Reply) => void;

/** Which properties differ, for display. */
export interface Differences {
  readonly keys: readonly string[];
  readonly changedKeys: readonly string[];
  readonly detailedDiff: DetailedDiff | undefined;
}

/** No differences worth showing. */
export const noDifferences: Differences = { keys: [], changedKeys: [], detailedDiff: undefined };

/** The differences of a diff. */
export function differencesOf(diff: DiffResult): Differences {
  return { keys: diff.replaceKeys, changedKeys: diff.changedKeys, detailedDiff: diff.detailedDiff };
}

interface Common {
  readonly urn: Urn;
  readonly type: string;
}

/** Nothing to do. */
export interface SameStep extends Common {
  readonly op: "same";
  readonly old: ResourceState;
  readonly new: ResourceState;
  readonly answer: Answer | undefined;
}

/** A new object; `old` is what it replaces, to be deleted later where `pendingDelete`. */
export interface CreateStep extends Common, Differences {
  readonly op: "create" | "create-replacement";
  readonly old: ResourceState | undefined;
  readonly new: ResourceState;
  readonly pendingDelete: boolean;
  readonly answer: Answer;
}

/** A change in place. */
export interface UpdateStep extends Common, Differences {
  readonly op: "update";
  readonly old: ResourceState;
  readonly new: ResourceState;
  readonly ignoreChanges: readonly string[];
  readonly answer: Answer;
}

/** Says that one resource is replaced by another; does nothing itself. */
export interface ReplaceStep extends Common, Differences {
  readonly op: "replace";
  readonly old: ResourceState;
  readonly new: ResourceState;
}

/** Removes an object. `pendingReplacement` keeps the resource in state until its replacement exists. */
export interface DeleteStep extends Common {
  readonly op: "delete" | "delete-replaced" | "discard" | "discard-replaced";
  readonly old: ResourceState;
  readonly new: undefined;
  readonly pendingReplacement: boolean;
}

/** Drops a resource that was deleted for a replacement that never came. */
export interface RemovePendingReplaceStep extends Common {
  readonly op: "remove-pending-replace";
  readonly old: ResourceState;
  readonly new: undefined;
}

/** Reads an object that the stack doesn't own. */
export interface ReadStep extends Common {
  readonly op: "read" | "read-replacement";
  readonly old: ResourceState | undefined;
  readonly new: ResourceState;
  readonly answer: Answer;
}

/** Reads an object to see whether it is still what state says. Its result is in `outcome` once it was applied. */
export interface RefreshStep extends Common {
  readonly op: "refresh";
  readonly old: ResourceState;
  readonly new: ResourceState | undefined;
  outcome: RefreshOutcome | undefined;
}

/** What a refresh found: nothing (deleted), the same or a change. */
export interface RefreshOutcome {
  readonly op: "delete" | "same" | "update";
  readonly state: ResourceState | undefined;
  readonly diff: DiffResult;
}

/** Takes over an object that exists. `original` is what it replaces. */
export interface ImportStep extends Common {
  readonly op: "import" | "import-replacement";
  readonly original: ResourceState | undefined;
  /** The object as it was read, once it was. */
  old: ResourceState | undefined;
  readonly new: ResourceState;
  readonly ignoreChanges: readonly string[];
}

/** Something that a deployment does. */
export type Step =
  | SameStep
  | CreateStep
  | UpdateStep
  | ReplaceStep
  | DeleteStep
  | RemovePendingReplaceStep
  | ReadStep
  | RefreshStep
  | ImportStep;

/** The resource that a step is about. */
export function subjectOf(step: Step): ResourceState {
  switch (step.op) {
    case "delete":
    case "delete-replaced":
    case "discard":
    case "discard-replaced":
    case "remove-pending-replace":
    case "refresh":
      return step.old;
    case "same":
    case "create":
    case "create-replacement":
    case "update":
    case "replace":
    case "read":
    case "read-replacement":
    case "import":
    case "import-replacement":
      return step.new;
  }
}

/** True for a step that counts as one change of its resource. */
export function isLogical(step: Step): boolean {
  return !partsOfOthers.has(step.op);
}

const partsOfOthers: ReadonlySet<Op> = new Set<Op>([
  "create-replacement",
  "delete-replaced",
  "discard-replaced",
  "remove-pending-replace",
  "read-replacement",
  "refresh",
  "import-replacement",
]);

/** A step that creates. */
export function createStep(fresh: ResourceState, answer: Answer): CreateStep {
  return {
    ...noDifferences,
    op: "create",
    urn: fresh.urn,
    type: fresh.type,
    old: undefined,
    new: fresh,
    pendingDelete: false,
    answer,
  };
}

/** A step that creates a replacement, before (`pendingDelete`) or after the old object is deleted. */
export function replacementStep(
  old: ResourceState,
  fresh: ResourceState,
  differences: Differences,
  about: { readonly pendingDelete: boolean; readonly answer: Answer },
): CreateStep {
  return { ...differences, op: "create-replacement", urn: fresh.urn, type: fresh.type, old, new: fresh, ...about };
}

/** The step that shows a replacement. */
export function replaceStep(old: ResourceState, fresh: ResourceState, differences: Differences): ReplaceStep {
  return { ...differences, op: "replace", urn: fresh.urn, type: fresh.type, old, new: fresh };
}

/** A step that leaves a resource as it is. */
export function sameStep(old: ResourceState, fresh: ResourceState, answer: Answer | undefined): SameStep {
  return { op: "same", urn: fresh.urn, type: fresh.type, old, new: fresh, answer };
}

/** A step that deletes; what was only read is discarded. */
export function deleteStep(old: ResourceState): DeleteStep {
  const op = old.external ? "discard" : "delete";
  return { op, urn: old.urn, type: old.type, old, new: undefined, pendingReplacement: false };
}

/** A step that deletes what is or will be replaced. */
export function deleteReplacedStep(old: ResourceState, about: { readonly pendingReplacement: boolean }): DeleteStep {
  const op = old.external ? "discard-replaced" : "delete-replaced";
  return { op, urn: old.urn, type: old.type, old, new: undefined, ...about };
}

/** A step that refreshes. */
export function refreshStep(old: ResourceState): RefreshStep {
  return { op: "refresh", urn: old.urn, type: old.type, old, new: old, outcome: undefined };
}

/** Finds the provider of a resource. */
export type ProviderOf = (state: ResourceState) => ResourceProvider;
