import type { ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";
import { DependencyGraph } from "./dependency-graph.ts";
import { DeploymentError } from "./errors.ts";
import type { Goal } from "../resource/goal.ts";

/** What a deployment knows of its resources: those of the last one, and those of this one so far. */
export class World {
  readonly stack: string;
  readonly project: string;
  #previous: readonly ResourceState[] = [];
  #olds = new Map<Urn, ResourceState>();
  #graph = new DependencyGraph([]);
  readonly news = new Map<Urn, ResourceState>();
  readonly reads = new Map<Urn, ResourceState>();
  readonly goals = new Map<Urn, Goal>();

  constructor(stack: string, project: string, previous: readonly ResourceState[]) {
    this.stack = stack;
    this.project = project;
    this.rebase(previous);
  }

  /** The last deployment's resources, in dependency order. */
  get previous(): readonly ResourceState[] {
    return this.#previous;
  }

  /** The last deployment's resources by URN, without those that wait for deletion. */
  get olds(): ReadonlyMap<Urn, ResourceState> {
    return this.#olds;
  }

  get graph(): DependencyGraph {
    return this.#graph;
  }

  /** Takes other resources as the last deployment's (after a refresh). */
  rebase(previous: readonly ResourceState[]): void {
    this.#previous = previous;
    this.#olds = new Map();
    for (const state of previous) {
      if (state.delete) continue;
      if (this.#olds.has(state.urn)) throw new DeploymentError(`unexpected duplicate resource ${state.urn}`);
      this.#olds.set(state.urn, state);
    }
    this.#graph = new DependencyGraph(previous);
  }
}
