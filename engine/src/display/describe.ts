import { isDefaultProvider } from "../deploy/aliases.ts";
import type { DeploymentEvent } from "../deploy/event.ts";
import type { Op } from "../deploy/step.ts";
import { urnName, urnType, type Urn } from "../resource/urn.ts";

/** The mark, the present and the past of each kind of step. */
export const words: Readonly<Record<Op, { readonly mark: string; readonly doing: string; readonly done: string }>> = {
  same: { mark: " ", doing: "checking", done: "unchanged" },
  create: { mark: "+", doing: "creating", done: "created" },
  update: { mark: "~", doing: "updating", done: "updated" },
  delete: { mark: "-", doing: "deleting", done: "deleted" },
  replace: { mark: "±", doing: "replacing", done: "replaced" },
  "create-replacement": { mark: "+", doing: "creating replacement", done: "created replacement" },
  "delete-replaced": { mark: "-", doing: "deleting original", done: "deleted original" },
  read: { mark: ">", doing: "reading", done: "read" },
  "read-replacement": { mark: ">", doing: "reading replacement", done: "read for replacement" },
  refresh: { mark: "~", doing: "refreshing", done: "refreshed" },
  discard: { mark: "<", doing: "discarding", done: "discarded" },
  "discard-replaced": { mark: "<", doing: "discarding original", done: "discarded original" },
  "remove-pending-replace": { mark: "~", doing: "completing replacement", done: "completed replacement" },
  import: { mark: "=", doing: "importing", done: "imported" },
  "import-replacement": { mark: "=", doing: "importing replacement", done: "imported replacement" },
};

/** What would happen, for previews. */
const wouldBe: Readonly<Partial<Record<Op, string>>> = {
  same: "unchanged",
  create: "create",
  update: "update",
  delete: "delete",
  replace: "replace",
  "create-replacement": "create replacement",
  "delete-replaced": "delete original",
  read: "read",
  import: "import",
};

/** What a step did, or would do in a preview. */
export function outcome(event: { readonly op: Op; readonly planning: boolean }): string {
  return event.planning ? (wouldBe[event.op] ?? words[event.op].done) : words[event.op].done;
}

/** A resource in a few words: its type and name. */
export function shortName(urn: Urn): string {
  return `${urnType(urn)} ${urnName(urn)}`;
}

/** True for what a person needn't see. */
export function isHidden(event: DeploymentEvent): boolean {
  return (
    ((event.kind === "resource-begins" || event.kind === "resource-done") &&
      (event.internal || isDefaultProvider(event.step.urn))) ||
    (event.kind === "diagnostic" && event.severity === "debug")
  );
}

/** How many resources changed how, in words, as the last line of an operation. */
export function summary(event: Extract<DeploymentEvent, { kind: "summary" }>): string {
  const parts: string[] = [];
  for (const op of Object.keys(words) as Op[]) {
    const count = event.changes[op];
    if (op !== "same" && count !== undefined && count > 0) {
      parts.push(event.planning ? `${count} to ${wouldBe[op] ?? op}` : `${count} ${words[op].done}`);
    }
  }
  const same = event.changes.same ?? 0;
  if (same > 0) parts.push(`${same} unchanged`);
  return parts.length === 0 ? "no resources" : parts.join(", ");
}
