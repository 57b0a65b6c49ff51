import { randomBytes } from "node:crypto";
import { equalMaps } from "../property/equal.ts";
import { containsUnknowns, type PropertyMap } from "../property/value.ts";
import type { CheckFailure, DiffRequest, DiffResult, ResourceProvider } from "../provider/provider.ts";
import { DiffUnavailableError, noDiff } from "../provider/provider.ts";
import { newState, type ResourceState } from "../resource/state.ts";
import { isProviderType, type Urn } from "../resource/urn.ts";
import { desiredState, ignoreChanges } from "./desired-state.ts";
import { DeploymentError } from "./errors.ts";
import type { Goal, ReadGoal } from "../resource/goal.ts";
import { ResourceNames } from "./resource-names.ts";
import { dependentReplacements, replacedWith } from "./replacements.ts";
import type { Leave, PlannerSurroundings, PlanningContext as Context } from "./planner-surroundings.ts";
import { diffResource, failureMessages } from "./provider-answers.ts";
import { applyReplaceOnChanges, isReplacement, isTriggered } from "./replace-on-changes.ts";
import {
  createStep,
  deleteReplacedStep,
  deleteStep,
  differencesOf,
  noDifferences,
  replacementStep,
  replaceStep,
  sameStep,
  type Answer,
  type ImportStep,
  type Step,
} from "./step.ts";
import { Turn } from "./turn.ts";
import type { World } from "./world.ts";

/**
 * Decides which steps bring a resource to what the program wants of it. Follows the CLI's step generator
 * (`pulumi` `pkg/resource/deploy/step_generator.go`): one resource is planned at a time, and only diffs and imports
 * run beside each other.
 */
export class Planner {
  readonly #world: World;
  readonly #around: PlannerSurroundings;
  readonly #turn = new Turn();
  readonly #names: ResourceNames;
  readonly #reads = new Set<Urn>();
  readonly #creates = new Set<Urn>();
  readonly #sames = new Set<Urn>();
  readonly #updates = new Set<Urn>();
  readonly #replaces = new Set<Urn>();
  readonly #deletes = new Set<Urn>();
  readonly #imports = new Set<Urn>();
  readonly #pendingDeletes = new Set<ResourceState>();
  readonly #dependentReplaceKeys = new Map<Urn, readonly string[]>();
  /** An error that was reported while planning went on (a preview shows them all). */
  failed = false;

  constructor(around: PlannerSurroundings) {
    this.#around = around;
    this.#world = around.world;
    this.#names = new ResourceNames(around.world, around.registry, (message, urn) => {
      this.failed = true;
      around.report("error", message, urn);
    });
  }

  /** URNs that are or will be deleted, for `deletedWith`. */
  get deletions(): ReadonlySet<Urn> {
    return this.#deletes;
  }

  /** True for a URN that the program has registered. */
  hasSeen(urn: Urn): boolean {
    return this.#names.has(urn);
  }

  /** Plans a registration. */
  async register(goal: Goal, answer: Answer): Promise<readonly Step[]> {
    let end = await this.#turn.take();
    const leave: Leave = async (job) => {
      end();
      try {
        return await job();
      } finally {
        end = await this.#turn.take();
      }
    };
    try {
      return await this.#plan(goal, answer, leave);
    } finally {
      end();
    }
  }

  /** Plans the reading of a resource that the stack doesn't own. */
  async read(goal: ReadGoal, answer: Answer): Promise<readonly Step[]> {
    const end = await this.#turn.take();
    try {
      const urn = this.#names.claim(goal.parent, goal.type, goal.name);
      const { old, alias } = this.#names.find(urn, goal, []);
      if (goal.id === "") throw new DeploymentError(`a read of ${urn} needs an id`, { urn });
      const fresh = newState({
        urn,
        type: goal.type,
        custom: true,
        external: true,
        id: goal.id,
        inputs: goal.properties,
        parent: goal.parent,
        dependencies: goal.dependencies,
        provider: goal.provider,
        additionalSecretOutputs: goal.additionalSecretOutputs,
        aliases: alias === undefined ? [] : [alias],
        sourcePosition: goal.sourcePosition,
        stackTrace: goal.stackTrace,
      });
      const common = { urn, type: goal.type, new: fresh, answer };
      if (old !== undefined && !old.external && old.id !== goal.id) {
        this.#replaces.add(urn);
        return [{ ...common, op: "read-replacement", old }, replaceStep(old, fresh, noDifferences)];
      }
      this.#reads.add(urn);
      return [{ ...common, op: "read", old }];
    } finally {
      end();
    }
  }

  async #plan(goal: Goal, answer: Answer, leave: Leave): Promise<readonly Step[]> {
    if (goal.parent !== "" && !this.#names.has(goal.parent)) {
      throw new DeploymentError(`could not find parent resource ${goal.parent}`);
    }
    const urn = this.#names.claim(goal.parent, goal.type, goal.name);
    const found = this.#names.find(urn, goal, goal.aliases);
    this.#world.goals.set(urn, goal);
    const provider = this.#providerFor(goal, urn);
    const recovery = await this.#around.recover(urn, found.old, provider);
    const old = recovery.old;
    const fresh = desiredState(urn, goal, old, found.alias);
    if (isProviderType(goal.type)) this.#around.registry.remember(fresh);
    const seed = randomBytes(32);
    const context: Context = { goal, urn, provider, answer, leave, seed, invalid: found.invalid, recovery };
    const recreating = this.#deletes.has(urn);
    const knownId = old === undefined ? "" : old.importId === "" ? old.id : old.importId;
    const isImport =
      goal.custom && goal.importId !== "" && (old === undefined || old.external || knownId !== goal.importId);
    if (isImport) return this.#planImport(context, recreating ? undefined : old, fresh);
    return this.#planFrom(context, old, fresh, recreating);
  }

  #providerFor(goal: Goal, urn: Urn): ResourceProvider | undefined {
    if (!goal.custom) return undefined;
    if (isProviderType(goal.type)) return this.#around.registry;
    const provider = this.#around.registry.find(goal.provider);
    if (provider === undefined)
      throw new DeploymentError(`unknown provider ${goal.provider} for resource ${urn}`, { urn });
    return provider;
  }

  async #planImport(
    context: Context,
    original: ResourceState | undefined,
    fresh: ResourceState,
  ): Promise<readonly Step[]> {
    const { goal, urn, answer } = context;
    const desired = newState({ ...fresh, inputs: goal.properties, replacementTrigger: null });
    const step: ImportStep = {
      op: original === undefined ? "import" : "import-replacement",
      urn,
      type: goal.type,
      original,
      old: undefined,
      new: fresh,
      ignoreChanges: goal.ignoreChanges,
    };
    this.#imports.add(urn);
    const chain = original === undefined ? [step] : [step, replaceStep(original, fresh, noDifferences)];
    await context.leave(() => this.#around.run(chain));
    const steps = await this.#planFrom(context, fresh, desired, false);
    if (steps.length === 0) answer({ state: fresh });
    return steps;
  }

  async #planFrom(
    context: Context,
    old: ResourceState | undefined,
    fresh: ResourceState,
    recreating: boolean,
  ): Promise<readonly Step[]> {
    const { goal, urn, provider, answer } = context;
    const external = old?.external === true;
    let inputs = fresh.inputs;
    if (old !== undefined) inputs = this.#ignoreChanges(urn, inputs, old.inputs, goal.ignoreChanges);
    let invalid = context.invalid;
    if (provider !== undefined) {
      const anew = recreating || external || old === undefined;
      const recorded = old === undefined ? context.recovery.recordedInputs : undefined;
      const checked = await provider.check({
        urn,
        olds: anew ? recorded : old.inputs,
        news: anew ? goal.properties : inputs,
        preview: this.#around.preview,
        randomSeed: context.seed,
      });
      inputs = checked.inputs;
      invalid ||= this.#refused(fresh, checked.failures);
      fresh.inputs = inputs;
    }
    const policies = await this.#around.checkPolicies(fresh, goal);
    fresh.inputs = policies.inputs;
    if (invalid || policies.violated) throw new DeploymentError(`resource ${urn} is invalid`, { urn, reported: true });
    if (recreating && old !== undefined) return this.#recreate(context, old, fresh);
    if (old === undefined) {
      this.#creates.add(urn);
      return [createStep(fresh, answer)];
    }
    if (external) {
      this.#creates.add(urn);
      return [
        replacementStep(old, fresh, noDifferences, { pendingDelete: true, answer }),
        replaceStep(old, fresh, noDifferences),
      ];
    }
    return this.#planFromDiff(context, old, fresh);
  }

  #recreate(context: Context, old: ResourceState, fresh: ResourceState): readonly Step[] {
    this.#deletes.delete(context.urn);
    this.#replaces.add(context.urn);
    const keys = this.#dependentReplaceKeys.get(context.urn) ?? [];
    return [
      replaceStep(old, fresh, noDifferences),
      replacementStep(old, fresh, { ...noDifferences, keys }, { pendingDelete: false, answer: context.answer }),
    ];
  }

  async #planFromDiff(context: Context, old: ResourceState, fresh: ResourceState): Promise<readonly Step[]> {
    const { goal, urn, answer } = context;
    if (!this.#around.preview && containsUnknowns(fresh.replacementTrigger)) {
      this.#report(`replacement trigger contains unknowns for ${urn}`, urn);
    }
    const triggered = isTriggered(fresh.replacementTrigger, old.replacementTrigger);
    let diff: DiffResult;
    if (triggered) diff = { ...noDiff, changes: "some" };
    else {
      const blamed = await this.#replacementCause(old, fresh);
      if (blamed !== undefined) diff = { ...noDiff, changes: "some", replaceKeys: [blamed] };
      else if (context.provider === undefined) {
        diff = { ...noDiff, changes: equalMaps(old.inputs, fresh.inputs) ? "none" : "some" };
      } else diff = await this.#diff(context, context.provider, old, fresh);
    }
    // While the diff was under way another resource may have had this one deleted before its own replacement.
    if (this.#deletes.has(urn)) return this.#recreate(context, old, fresh);
    diff = applyReplaceOnChanges(diff, goal.replaceOnChanges, old.initErrors);
    if (diff.changes === "some" || old.pendingReplacement) {
      if (isReplacement(diff) || triggered || old.pendingReplacement) return this.#replace(context, old, fresh, diff);
      return this.#update(context, old, fresh, diff);
    }
    if (old.initErrors.length > 0) return this.#update(context, old, fresh, diff);
    if (this.#imports.has(urn)) return [];
    this.#sames.add(urn);
    return [sameStep(old, fresh, answer)];
  }

  #update(context: Context, old: ResourceState, fresh: ResourceState, diff: DiffResult): readonly Step[] {
    this.#updates.add(context.urn);
    return [
      {
        ...differencesOf(diff),
        op: "update",
        urn: context.urn,
        type: fresh.type,
        old,
        new: fresh,
        ignoreChanges: context.goal.ignoreChanges,
        answer: context.answer,
      },
    ];
  }

  async #diff(
    context: Context,
    provider: ResourceProvider,
    old: ResourceState,
    fresh: ResourceState,
  ): Promise<DiffResult> {
    const request: DiffRequest = {
      urn: context.urn,
      id: old.id,
      oldInputs: old.inputs,
      oldOutputs: old.outputs,
      newInputs: fresh.inputs,
      ignoreChanges: context.goal.ignoreChanges,
      preview: this.#around.preview,
    };
    try {
      return await context.leave(() => this.#around.work(() => diffResource(provider, request)));
    } catch (error) {
      if (!(error instanceof DiffUnavailableError)) throw error;
      this.#around.report("warning", error.message, context.urn);
      return { ...noDiff, changes: "some" };
    }
  }

  /** Why a resource must be replaced whatever its provider says, if so. */
  async #replacementCause(old: ResourceState, fresh: ResourceState): Promise<string | undefined> {
    if (fresh.replaceWith.some((urn) => this.#replaces.has(urn))) return "replaceWith";
    return (await this.#around.registry.isReplaced(old, fresh, this.#names)) ? "provider" : undefined;
  }

  async #replace(
    context: Context,
    old: ResourceState,
    fresh: ResourceState,
    diff: DiffResult,
  ): Promise<readonly Step[]> {
    const { goal, urn, provider, answer } = context;
    if (fresh.protect && old.protect) {
      // A preview goes on, so that the difference behind it is seen.
      const message = `unable to replace resource "${urn}": it is protected; remove its protect option and run up`;
      if (!this.#around.preview) this.#report(message, urn);
      this.failed = true;
      this.#around.report("error", message, urn);
    }
    if (goal.importId !== "") {
      const message =
        "previously-imported resources that still specify an ID may not be replaced; " +
        `remove the import option from the program (it would change: ${diff.replaceKeys.join(", ")})`;
      if (!this.#around.preview) throw new DeploymentError(message, { urn });
      this.#around.report("warning", message, urn);
    }
    this.#replaces.add(urn);
    if (provider !== undefined) {
      const checked = await provider.check({
        urn,
        olds: context.recovery.recordedInputs,
        news: goal.properties,
        preview: this.#around.preview,
        randomSeed: context.seed,
      });
      if (this.#refused(fresh, checked.failures)) {
        throw new DeploymentError(`resource ${urn} is invalid`, { urn, reported: true });
      }
      fresh.inputs = checked.inputs;
    }
    const differences = differencesOf(diff);
    if (!(goal.deleteBeforeReplace ?? diff.deleteBeforeReplace)) {
      return [
        replacementStep(old, fresh, differences, { pendingDelete: true, answer }),
        replaceStep(old, fresh, differences),
      ];
    }
    const steps: Step[] = await this.#deleteDependents(old, urn);
    await this.#around.registry.ensure(old.provider, this.#world.previous);
    if (!old.pendingReplacement) steps.push(deleteReplacedStep(old, { pendingReplacement: true }));
    return [
      ...steps,
      replaceStep(old, fresh, differences),
      replacementStep(old, fresh, differences, { pendingDelete: false, answer }),
    ];
  }

  /** Deletes what must be gone before a resource may be: its dependents that can't outlive its replacement. */
  async #deleteDependents(old: ResourceState, urn: Urn): Promise<Step[]> {
    const seen = new Set(
      [this.#reads, this.#creates, this.#sames, this.#updates, this.#deletes, this.#replaces].flatMap((set) => [
        ...set,
      ]),
    );
    const dependents = await dependentReplacements(old, seen, {
      world: this.#world,
      registry: this.#around.registry,
      diff: diffResource,
    });
    const steps: Step[] = [];
    for (const { state, keys } of [...dependents, ...replacedWith(urn, this.#world)].reverse()) {
      if (this.#pendingDeletes.has(state)) continue;
      this.#dependentReplaceKeys.set(state.urn, keys);
      if (state.delete) steps.push(deleteStep(state));
      else {
        if (state.protect) {
          this.#report(
            `unable to replace resource "${state.urn}" as part of replacing "${urn}": it is protected. ` +
              "Remove its protect option from the program and run up",
            urn,
          );
        }
        steps.push(deleteReplacedStep(state, { pendingReplacement: true }));
      }
      this.#deletes.add(state.urn);
      this.#pendingDeletes.add(state);
    }
    return steps;
  }

  /** The deletions of what is no longer wanted; its providers are loaded. */
  async planDeletions(): Promise<readonly Step[]> {
    const steps: Step[] = [];
    for (const state of this.#world.previous) {
      if (state.delete) {
        if (this.#pendingDeletes.has(state)) continue;
        this.#deletes.add(state.urn);
        steps.push(deleteReplacedStep(state, { pendingReplacement: false }));
      } else if (!this.#isOperatedOn(state.urn)) {
        this.#deletes.add(state.urn);
        steps.push(
          state.pendingReplacement
            ? { op: "remove-pending-replace", urn: state.urn, type: state.type, old: state, new: undefined }
            : deleteStep(state),
        );
      }
      if (this.#deletes.has(state.urn)) await this.#around.registry.ensure(state.provider, this.#world.previous);
    }
    return steps;
  }

  #isOperatedOn(urn: Urn): boolean {
    const current = this.#names.current(urn);
    return [this.#sames, this.#updates, this.#replaces, this.#reads].some((set) => set.has(current));
  }

  #ignoreChanges(urn: Urn, inputs: PropertyMap, old: PropertyMap, paths: readonly string[]): PropertyMap {
    const ignored = ignoreChanges(inputs, old, paths);
    if (ignored.invalidPaths.length > 0) {
      const list = ignored.invalidPaths.join(", ");
      this.#around.report("info", `cannot ignore changes in added or removed elements of the path: "${list}"`, urn);
    }
    return ignored.inputs;
  }

  #refused(state: ResourceState, failures: readonly CheckFailure[]): boolean {
    for (const message of failureMessages(state, failures)) this.#around.report("error", message, state.urn);
    return failures.length > 0;
  }

  #report(message: string, urn: Urn): never {
    this.failed = true;
    this.#around.report("error", message, urn);
    throw new DeploymentError(message, { urn, reported: true });
  }
}
