import type { Formerly, ProviderRegistry } from "../provider/registry.ts";
import type { Goal } from "../resource/goal.ts";
import type { ResourceState } from "../resource/state.ts";
import { makeUrn, type Urn } from "../resource/urn.ts";
import { aliasUrns } from "./aliases.ts";
import { DeploymentError } from "./errors.ts";
import type { World } from "./world.ts";

/** What is known of a resource by its names. */
export interface Found {
  readonly old: ResourceState | undefined;
  /** The former URN by which it was found. */
  readonly alias: Urn | undefined;
  /** True where its names clash with another resource's; that has been reported. */
  readonly invalid: boolean;
}

/** The URNs of a deployment: which are taken, and which resources went by other ones before. */
export class ResourceNames implements Formerly {
  readonly #world: World;
  readonly #registry: ProviderRegistry;
  readonly #report: (message: string, urn: Urn) => void;
  readonly #urns = new Set<Urn>();
  /** Former URN to the one that took it over, and back. */
  readonly #aliased = new Map<Urn, Urn>();
  readonly #aliases = new Map<Urn, Urn>();

  constructor(world: World, registry: ProviderRegistry, report: (message: string, urn: Urn) => void) {
    this.#world = world;
    this.#registry = registry;
    this.#report = report;
  }

  /** True for a URN that the program has registered. */
  has(urn: Urn): boolean {
    return this.#urns.has(urn);
  }

  /** The present URN of a resource that may have gone by another one. */
  current(urn: Urn): Urn {
    return this.#aliased.get(urn) ?? urn;
  }

  /**
   * Takes the URN of a new registration.
   *
   * @throws {DeploymentError} where it is taken already
   */
  claim(parent: Urn, type: string, name: string): Urn {
    const urn = makeUrn(this.#world.stack, this.#world.project, parent, type, name);
    if (this.#urns.has(urn)) {
      const message = `duplicate resource URN ${urn}; try giving it a unique name`;
      this.#report(message, urn);
      throw new DeploymentError(message, { urn, reported: true });
    }
    this.#urns.add(urn);
    return urn;
  }

  /** Looks for a resource in the last deployment by its URN, then by its aliases. */
  find(urn: Urn, goal: Pick<Goal, "name" | "type" | "parent">, aliases: Goal["aliases"]): Found {
    let invalid = false;
    const refuse = (message: string) => {
      invalid = true;
      this.#report(message, urn);
    };
    const claimed = this.#aliased.get(urn);
    if (claimed !== undefined) refuse(`${urn} is already an alias of ${claimed}`);
    const place = { ...goal, stack: this.#world.stack, project: this.#world.project };
    for (const candidate of [urn, ...aliasUrns(place, aliases, this.#aliases)]) {
      const old = this.#world.olds.get(candidate);
      if (old === undefined) continue;
      if (candidate === urn) return { old, alias: undefined, invalid };
      if (this.#urns.has(candidate)) refuse(`${urn} has the alias ${candidate}, which is a resource of its own`);
      const other = this.#aliased.get(candidate);
      if (other !== undefined) refuse(`${urn} has the alias ${candidate}, which is already an alias of ${other}`);
      this.#aliased.set(candidate, urn);
      this.#aliases.set(urn, candidate);
      this.#registry.alias(urn, candidate);
      return { old, alias: candidate, invalid };
    }
    return { old: undefined, alias: undefined, invalid };
  }
}
