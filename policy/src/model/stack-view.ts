import { type PodTemplate, podTemplateOf } from "./pod-template.ts";
import type { Resource, Stack } from "./resource.ts";
import { unknown } from "./value.ts";
import { type UnknownSeen, View } from "./view.ts";

/** A stack as stack rules read it. */
export class StackView {
  readonly stack: Stack;
  readonly #views: readonly View[];
  readonly #seen: UnknownSeen;
  readonly #byUrn: ReadonlyMap<string, Resource>;

  constructor(stack: Stack, seen: UnknownSeen) {
    this.stack = stack;
    this.#seen = seen;
    this.#views = stack.resources.map((resource) => new View(resource, "", resource.props, seen));
    this.#byUrn = new Map(stack.resources.map((resource) => [resource.urn, resource]));
  }

  /** All resources. */
  get all(): readonly View[] {
    return this.#views;
  }

  /** The resources of some types. */
  of(...types: readonly string[]): readonly View[] {
    return this.#views.filter(({ resource }) => types.includes(resource.type));
  }

  /** The templates of pods, of whatever kind. */
  get pods(): readonly PodTemplate[] {
    return this.#views.flatMap((view) => podTemplateOf(view) ?? []);
  }

  /** The resources above a resource, the nearest first. */
  *above({ resource }: View): Generator<Resource> {
    for (let next = this.#byUrn.get(resource.parent); next !== undefined; next = this.#byUrn.get(next.parent)) {
      yield next;
    }
  }

  /** What a resource takes values from or waits for. */
  dependenciesOf({ resource }: View): readonly Resource[] {
    return resource.dependencies.flatMap((urn) => this.#byUrn.get(urn) ?? []);
  }

  /** The stack's own resource, whose properties are its outputs. */
  get outputs(): View | undefined {
    return this.of("pulumi:pulumi:Stack")[0];
  }

  /** The place that is named where something is missing from the stack: its own resource, or else its first one. */
  get itself(): View | undefined {
    return this.outputs ?? this.#views[0];
  }

  /** What encrypts the stack's secrets. It isn't known while the stack's file doesn't say it, as before the first update. */
  get secretsProvider(): View | undefined {
    const place = this.itself?.resource;
    if (place === undefined) return undefined;
    return new View(place, "secretsProvider", this.stack.secretsProvider ?? unknown, this.#seen);
  }
}
