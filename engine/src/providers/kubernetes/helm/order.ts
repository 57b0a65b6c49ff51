import { ProviderError } from "../../protocol/errors.ts";
import type { JsonMap } from "../../protocol/value.ts";
import { annotationOf, isCustomResourceDefinition, kindOf, nameOf, namespaceOf, textAt } from "../api/object.ts";

/** The annotation that names objects of the same chart which must be there first. */
const dependsOn = "config.kubernetes.io/depends-on";

/**
 * Tells for each object of a chart which others must be ready before it: its namespace, the CRD of its kind, and those
 * that its annotation `config.kubernetes.io/depends-on` names (`group/[namespaces/ns/]kind/name`, by commas).
 * @returns for each index the indices of what comes first
 * @throws ProviderError for a reference to an object that the chart lacks, and for a circle
 */
export function prerequisites(objects: readonly JsonMap[]): readonly (readonly number[])[] {
  const byReference = new Map(objects.map((object, index) => [referenceOf(object), index]));
  const namespaces = new Map<string, number>();
  const definitions = new Map<string, number>();
  for (const [index, object] of objects.entries()) {
    const { group, kind } = kindOf(object);
    if (group === "" && kind === "Namespace") {
      namespaces.set(nameOf(object), index);
    } else if (isCustomResourceDefinition(object)) {
      definitions.set(`${textAt(object, "spec", "group")}/${textAt(object, "spec", "names", "kind")}`, index);
    }
  }
  const first = objects.map((object) => {
    const { group, kind } = kindOf(object);
    const named = annotationOf(object, dependsOn)
      .split(",")
      .map((reference) => reference.trim())
      .filter((reference) => reference !== "")
      .map((reference) => {
        const found = byReference.get(reference);
        if (found === undefined) {
          throw new ProviderError(`${kind} "${nameOf(object)}" depends on "${reference}", which the chart lacks`);
        }
        return found;
      });
    const all = [namespaces.get(namespaceOf(object)), definitions.get(`${group}/${kind}`), ...named];
    return [...new Set(all.filter((index) => index !== undefined))];
  });
  refuseCircles(objects, first);
  return first;
}

function referenceOf(object: JsonMap): string {
  const { group, kind } = kindOf(object);
  const namespace = namespaceOf(object);
  return `${group}/${namespace === "" ? "" : `namespaces/${namespace}/`}${kind}/${nameOf(object)}`;
}

function refuseCircles(objects: readonly JsonMap[], first: readonly (readonly number[])[]): void {
  const state = new Map<number, "open" | "done">();
  const visit = (index: number): void => {
    if (state.get(index) === "open") {
      throw new ProviderError(
        `the chart's objects depend on each other in a circle: ${referenceOf(objects[index] ?? {})}`,
      );
    }
    if (state.get(index) === undefined) {
      state.set(index, "open");
      first[index]?.forEach(visit);
      state.set(index, "done");
    }
  };
  objects.forEach((_, index) => {
    visit(index);
  });
}
