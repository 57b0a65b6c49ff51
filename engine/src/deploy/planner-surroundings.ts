import type { PropertyMap } from "../property/value.ts";
import type { ResourceProvider } from "../provider/provider.ts";
import type { ProviderRegistry } from "../provider/registry.ts";
import type { Goal } from "../resource/goal.ts";
import type { ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";
import type { Answer, Step } from "./step.ts";
import type { World } from "./world.ts";

/** What a planner needs of the deployment around it. */
export interface PlannerSurroundings {
  readonly world: World;
  readonly registry: ProviderRegistry;
  readonly preview: boolean;
  /** Runs a job on a free worker. */
  work<T>(job: () => Promise<T>): Promise<T>;
  /** Runs steps one after the other. */
  run(steps: readonly Step[]): Promise<void>;
  report(severity: "info" | "warning" | "error", message: string, urn?: Urn): void;
  /** Policies may change the inputs (remediation) or refuse them. */
  checkPolicies(state: ResourceState, goal: Goal): Promise<{ inputs: PropertyMap; violated: boolean }>;
  /** Finds the object of a creation that was cut off, so that it isn't made twice. */
  recover(urn: Urn, old: ResourceState | undefined, provider: ResourceProvider | undefined): Promise<Recovery>;
}

/** What was left of a creation that was cut off. */
export interface Recovery {
  readonly old: ResourceState | undefined;
  /** The inputs that it was begun with; its automatic name is among them. */
  readonly recordedInputs: PropertyMap | undefined;
}

/** Lets other resources be planned while a job runs. */
export type Leave = <T>(job: () => Promise<T>) => Promise<T>;

/** One registration that is being planned. */
export interface PlanningContext {
  readonly goal: Goal;
  readonly urn: Urn;
  readonly provider: ResourceProvider | undefined;
  readonly answer: Answer;
  readonly leave: Leave;
  readonly seed: Buffer;
  readonly invalid: boolean;
  readonly recovery: Recovery;
}
