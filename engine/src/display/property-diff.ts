import { changesOf } from "../property/diff.ts";
import { formatPath, parsePath, pathContains } from "../property/path.ts";
import { isList, isMap, Output, Secret, Unknown, type PropertyMap, type PropertyValue } from "../property/value.ts";
import type { Step } from "../deploy/step.ts";
import { equalValues } from "../property/equal.ts";

const marks = { add: "+", delete: "-", update: "~" } as const;

/**
 * The properties that a step changes, one a line: `+ path: new`, `- path: old`, `~ path: old => new`. Secrets are
 * masked, and hidden differences (`hideDiffs`) only named.
 */
export function diffLines(step: Step): readonly string[] {
  switch (step.op) {
    case "create":
      return compare({}, step.new.inputs, []);
    case "update":
    case "replace":
      return compare(step.old.inputs, step.new.inputs, step.new.hideDiff);
    case "refresh": {
      const fresh = step.outcome?.state;
      return fresh === undefined ? [] : compare(step.old.outputs, fresh.outputs, step.old.hideDiff);
    }
    case "import":
    case "import-replacement":
      return step.old === undefined ? [] : compare({}, step.old.inputs, []);
    case "same":
    case "create-replacement":
    case "delete":
    case "delete-replaced":
    case "discard":
    case "discard-replaced":
    case "read":
    case "read-replacement":
    case "remove-pending-replace":
      return [];
  }
}

function compare(old: PropertyMap, fresh: PropertyMap, hidden: readonly string[]): readonly string[] {
  const hiddenPaths = hidden.map(parsePath);
  return changesOf(old, fresh).map(({ path, kind, old: before, new: after }) => {
    const name = `${marks[kind]} ${formatPath(path)}`;
    if (hiddenPaths.some((candidate) => pathContains(candidate, path))) return `${name}: [hidden]`;
    if (kind === "add") return `${name}: ${render(after)}`;
    if (kind === "delete") return `${name}: ${render(before)}`;
    if (before instanceof Secret && after instanceof Secret && !equalValues(before, after))
      return `${name}: [secret] => [another secret]`;
    return `${name}: ${render(before)} => ${render(after)}`;
  });
}

/** A value as a person may see it. */
export function render(value: PropertyValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value instanceof Secret || (value instanceof Output && value.secret)) return "[secret]";
  if (value instanceof Unknown || (value instanceof Output && !value.known)) return "[unknown]";
  return JSON.stringify(plain(value));
}

function plain(value: PropertyValue): unknown {
  if (value instanceof Secret) return "[secret]";
  if (value instanceof Unknown) return "[unknown]";
  if (value instanceof Output) return value.secret ? "[secret]" : value.known ? plain(value.element) : "[unknown]";
  if (isList(value)) return value.map(plain);
  if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, plain(element)]));
  return value;
}
