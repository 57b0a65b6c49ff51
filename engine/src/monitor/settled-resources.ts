import type { Urn } from "../resource/urn.ts";

/** Knows which resources have an id yet, so that an invoke that depends on others can wait for the update. */
export class SettledResources {
  readonly #settled = new Map<Urn, { readonly parent: Urn; readonly pending: boolean }>();
  readonly #inFlight = new Map<Urn, number>();

  /** Notes that a child of `parent` is being registered; the function returned ends it. */
  begin(parent: Urn): () => void {
    this.#inFlight.set(parent, (this.#inFlight.get(parent) ?? 0) + 1);
    return () => {
      this.#inFlight.set(parent, (this.#inFlight.get(parent) ?? 1) - 1);
    };
  }

  /** Notes a registered resource. */
  settle(urn: Urn, parent: Urn, about: { readonly custom: boolean; readonly id: string }): void {
    this.#settled.set(urn, { parent, pending: about.custom && about.id === "" });
  }

  /** True where one of the resources, or one below them, has no id yet. */
  hasPending(roots: readonly Urn[]): boolean {
    const wanted = new Set(roots);
    const isBelow = (urn: Urn): boolean => {
      for (let at = urn; at !== ""; at = this.#settled.get(at)?.parent ?? "") if (wanted.has(at)) return true;
      return false;
    };
    for (const [urn, { pending }] of this.#settled) if (pending && isBelow(urn)) return true;
    for (const [parent, count] of this.#inFlight) if (count > 0 && isBelow(parent)) return true;
    return false;
  }
}
