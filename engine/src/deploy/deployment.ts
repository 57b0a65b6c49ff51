import type { PropertyMap } from "../property/value.ts";
import type { Provider } from "../provider/provider.ts";
import type { ProviderRegistry } from "../provider/registry.ts";
import type { Goal, ReadGoal } from "../resource/goal.ts";
import type { ResourceState } from "../resource/state.ts";
import { parseUrn, rootStackType, type Urn } from "../resource/urn.ts";
import type { Snapshot } from "../state/checkpoint.ts";
import type { SnapshotRecorder } from "../state/snapshot-recorder.ts";
import { asError, type ApplyTools } from "./apply.ts";
import { DefaultProviders } from "./default-providers.ts";
import { deletionRounds } from "./dependency-graph.ts";
import { DeploymentError, ShutDownError } from "./errors.ts";
import type { ChangeCounts, EventSink, Severity } from "./event.ts";
import { Executor } from "./executor.ts";
import { Hooks } from "./hooks.ts";
import { Planner } from "./planner.ts";
import { diffResource } from "./provider-answers.ts";
import { CreationRecovery } from "./recovery.ts";
import { rebuiltResources } from "./refresh.ts";
import { refreshStep, type Reply } from "./step.ts";
import { World } from "./world.ts";

/** Policies, as a deployment asks them. */
export interface PolicyChecks {
  /** Remediates and analyzes one resource before anything is done to it. */
  checkResource(state: ResourceState, goal: Goal, providerState: ResourceState | undefined): Promise<PolicyVerdict>;
  /** Analyzes all resources at the end. True where a mandatory policy is violated. */
  checkStack(states: readonly ResourceState[], registry: ProviderRegistry): Promise<boolean>;
}

/** What policies make of a resource. */
export interface PolicyVerdict {
  readonly inputs: PropertyMap;
  /** Refused in an update; in a preview it is reported and planning goes on. */
  readonly violated: boolean;
  readonly failed: boolean;
}

/** What a deployment is to do. */
export interface DeploymentOptions {
  readonly stack: string;
  readonly project: string;
  readonly snapshot: Snapshot;
  readonly preview: boolean;
  readonly parallel: number;
  /** Read all resources before anything else. */
  readonly refresh: boolean;
  /** Settings of provider packages: `<package>` to its configuration. */
  readonly packageConfig: (packageName: string) => PropertyMap;
  readonly deniedDefaultProviders: ReadonlySet<string>;
  readonly registry: ProviderRegistry;
  readonly recorder: SnapshotRecorder | undefined;
  readonly policies: PolicyChecks | undefined;
  readonly emit: EventSink;
  readonly now: () => Date;
}

/** A program that registers resources with a deployment. */
export interface RunningProgram {
  /** Resolves when it will register nothing more; rejects where it failed. */
  readonly finished: Promise<void>;
  /** Lets it end, and waits for that. */
  release(): Promise<void>;
  /** Ends it. */
  kill(): Promise<void>;
}

/** How a deployment went. */
export interface DeploymentResult {
  readonly succeeded: boolean;
  readonly canceled: boolean;
  readonly changes: ChangeCounts;
  readonly maybeCorrupt: boolean;
}

/**
 * One preview, update, refresh or destroy (`pulumi` `pkg/resource/deploy/deployment_executor.go`). Planning
 * ({@link Planner}) decides, doing ({@link Executor}) does, and events tell displays of it.
 */
export class Deployment {
  readonly #options: DeploymentOptions;
  readonly #world: World;
  readonly #planner: Planner;
  readonly #executor: Executor;
  readonly #recovery: CreationRecovery;
  readonly #defaults: DefaultProviders;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #waiting = new Set<(error: Error) => void>();
  readonly hooks = new Hooks();
  #failed = false;
  #canceled = false;
  #stopSignal: () => void = () => undefined;
  readonly #stopped: Promise<void>;
  #stackOutputs: { readonly urn: Urn; readonly outputs: PropertyMap } | undefined;

  constructor(options: DeploymentOptions) {
    this.#options = options;
    this.#world = new World(options.stack, options.project, options.snapshot.resources);
    options.registry.rebase(this.#world.olds);
    this.#stopped = new Promise((resolve) => {
      this.#stopSignal = resolve;
    });
    const report = (severity: Severity, message: string, urn?: Urn) => {
      this.report(severity, message, urn);
    };
    this.#recovery = new CreationRecovery(options.snapshot.pendingOperations, {
      ...options,
      world: this.#world,
      report,
    });
    this.#planner = new Planner({
      world: this.#world,
      registry: options.registry,
      preview: options.preview,
      work: (job) => this.#executor.work(job),
      run: (steps) => this.#executor.runOrThrow(steps),
      report,
      checkPolicies: (state, goal) => this.#checkPolicies(state, goal),
      recover: (urn, old, provider) => {
        const goal = this.#world.goals.get(urn);
        if (goal === undefined) throw new DeploymentError(`resource ${urn} has no goal`);
        return this.#recovery.recover(urn, goal, old, provider);
      },
    });
    this.#executor = this.#newExecutor({ keepGoing: false });
    this.#executor.onStop = () => {
      this.#stopSignal();
      for (const reject of this.#waiting) reject(new ShutDownError());
    };
    this.#defaults = new DefaultProviders(options, (goal) => this.register(goal));
  }

  #newExecutor(about: { readonly keepGoing: boolean }): Executor {
    const tools: ApplyTools = {
      registry: this.#options.registry,
      hooks: this.hooks,
      preview: this.#options.preview,
      now: this.#options.now,
      deletions: this.#planner.deletions,
      diff: diffResource,
      report: (severity, message, urn) => {
        this.report(severity, message, urn);
      },
      failAfterwards: () => {
        this.#failed = true;
        this.#executor.stop();
      },
    };
    return new Executor({ ...this.#options, ...about, world: this.#world, tools });
  }

  /** What the deployment knows, for the built-in provider. */
  get world(): World {
    return this.#world;
  }

  /** Shows a message. */
  report(severity: Severity, message: string, urn?: Urn, streamId = 0): void {
    if (severity === "error") this.#failed = true;
    this.#options.emit({ kind: "diagnostic", severity, urn, message, streamId, ephemeral: false });
  }

  /** Lets running steps end and begins no others. */
  cancel(): void {
    this.#canceled = true;
    this.#executor.stop();
  }

  /** Refreshes if asked, runs the program, deletes what is left over, and finishes the stack's outputs. */
  async run(start: (() => Promise<RunningProgram>) | undefined): Promise<DeploymentResult> {
    let program: RunningProgram | undefined;
    try {
      const { pendingOperations, resources } = this.#options.snapshot;
      const refreshed = this.#options.refresh ? resources : resources.filter((state) => state.refreshBeforeUpdate);
      if (refreshed.length > 0) await this.#refresh(refreshed);
      else this.#warnOfPending(pendingOperations.filter(({ type }) => type !== "creating"));
      if (start !== undefined && !this.#executor.stopped) {
        program = await start();
        await Promise.race([program.finished, this.#stopped]);
        await this.#idle();
      }
      if (!this.#executor.stopped) await this.#deleteLeftovers();
    } catch (error) {
      this.#planningFailed(asError(error));
    }
    await this.#idle();
    await this.#finishOutputs();
    if (this.#succeeded && this.#options.policies !== undefined) await this.#checkStack();
    await this.#endProgram(program);
    return this.#result();
  }

  /** Refreshes only. */
  async runRefresh(): Promise<DeploymentResult> {
    try {
      await this.#recovery.leftovers();
      await this.#refresh(this.#world.previous);
    } catch (error) {
      this.#planningFailed(asError(error));
    }
    return this.#result();
  }

  get #succeeded(): boolean {
    return !this.#failed && !this.#planner.failed && !this.#canceled && this.#executor.failure === undefined;
  }

  #result(): DeploymentResult {
    const kind = this.#options.preview ? "preview" : "update";
    const succeeded = this.#succeeded;
    if (!succeeded) {
      const failed = this.#failed || this.#planner.failed || this.#executor.failure !== undefined;
      this.report("error", `${kind} ${failed ? "failed" : "canceled"}`);
    }
    return {
      succeeded,
      canceled: this.#canceled && !this.#failed,
      changes: this.#counts(),
      maybeCorrupt: this.#executor.maybeCorrupt,
    };
  }

  #refreshCounts: ChangeCounts = {};

  #counts(): ChangeCounts {
    return Object.keys(this.#executor.counts).length === 0 ? this.#refreshCounts : this.#executor.counts;
  }

  /** Registers a resource: plans its steps, carries them out and answers with its state. */
  register(goal: Goal): Promise<Reply> {
    return this.#answered(async (answer) => {
      await this.#executor.run(await this.#planner.register(goal, answer));
    });
  }

  /** Reads a resource that the stack doesn't own. */
  read(goal: ReadGoal): Promise<Reply> {
    return this.#answered(async (answer) => {
      await this.#executor.run(await this.#planner.read(goal, answer));
    });
  }

  /** Sets the outputs of a component; the stack's own are set at the end, since they depend on how it went. */
  async registerOutputs(urn: Urn, outputs: PropertyMap): Promise<void> {
    if (parseUrn(urn).qualifiedType === rootStackType) {
      this.#stackOutputs = { urn, outputs };
      return;
    }
    if (this.#executor.stopped) throw new ShutDownError();
    await this.#executor.registerOutputs(urn, outputs);
  }

  /** The reference of the provider that a resource without one of its own uses. */
  defaultProvider(packageName: string, version: string): Promise<string> {
    return this.#defaults.reference(packageName, version);
  }

  /** The provider of a reference. */
  provider(reference: string): Provider | undefined {
    return this.#options.registry.find(reference);
  }

  /** Ends the deployment because of something outside of it, such as a component provider's failure. */
  fail(error: Error): void {
    this.#planningFailed(error);
  }

  #answered(work: (answer: (reply: Reply) => void) => Promise<void>): Promise<Reply> {
    if (this.#executor.stopped) return Promise.reject(new ShutDownError());
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const job = work((reply) => {
        this.#waiting.delete(reject);
        resolve(reply);
      })
        .catch((error: unknown) => {
          this.#planningFailed(asError(error));
        })
        .finally(() => {
          this.#inFlight.delete(job);
        });
      this.#inFlight.add(job);
    });
  }

  #planningFailed(error: Error): void {
    if (error instanceof ShutDownError) return;
    if (!(error instanceof DeploymentError && error.reported)) {
      this.report("error", error.message, error instanceof DeploymentError ? error.urn : undefined);
    }
    this.#failed = true;
    this.#executor.stop();
  }

  async #idle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
  }

  async #checkPolicies(state: ResourceState, goal: Goal): Promise<PolicyVerdict> {
    const { policies, registry } = this.#options;
    if (policies === undefined) return { inputs: state.inputs, violated: false, failed: false };
    const providerUrn = state.provider === "" ? undefined : state.provider.slice(0, state.provider.lastIndexOf("::"));
    const verdict = await policies.checkResource(
      state,
      goal,
      providerUrn === undefined ? undefined : registry.stateOf(providerUrn),
    );
    if (verdict.failed) this.#failed = true;
    return verdict;
  }

  async #checkStack(): Promise<void> {
    try {
      const states = [...this.#world.news.values()];
      if ((await this.#options.policies?.checkStack(states, this.#options.registry)) === true) this.#failed = true;
    } catch (error) {
      this.report("error", asError(error).message);
    }
  }

  async #refresh(states: readonly ResourceState[]): Promise<void> {
    const { registry, recorder } = this.#options;
    for (const state of states) await registry.ensure(state.provider, this.#world.previous);
    const steps = states.map(refreshStep);
    const executor = this.#newExecutor({ keepGoing: true });
    const stop = this.#executor.onStop;
    this.#executor.onStop = () => {
      executor.stop();
      stop();
    };
    await executor.runAll(steps);
    this.#executor.onStop = stop;
    this.#refreshCounts = executor.counts;
    const outcomes = new Map(
      steps.flatMap((step) => (step.outcome === undefined ? [] : [[step.old, step.outcome.state] as const])),
    );
    const rebuilt = rebuiltResources(this.#world.previous, outcomes);
    this.#world.news.clear();
    this.#world.rebase(rebuilt);
    registry.rebase(this.#world.olds);
    await recorder?.rebase(rebuilt);
    if (executor.failure !== undefined) throw new DeploymentError("refresh failed", { reported: true });
  }

  async #deleteLeftovers(): Promise<void> {
    await this.#recovery.leftovers();
    const steps = await this.#planner.planDeletions();
    const byState = new Map(steps.flatMap((step) => (step.old === undefined ? [] : [[step.old, step] as const])));
    for (const round of deletionRounds([...byState.keys()], this.#world.graph)) {
      if (this.#executor.stopped) return;
      await this.#executor.runAll(round.flatMap((state) => byState.get(state) ?? []));
      if (this.#executor.failure !== undefined) return;
    }
  }

  async #finishOutputs(): Promise<void> {
    if (this.#stackOutputs === undefined) return;
    const { urn, outputs } = this.#stackOutputs;
    // After a failure an absent output needn't be gone for good, so the old ones stay.
    const before = this.#succeeded ? {} : (this.#world.olds.get(urn)?.outputs ?? {});
    try {
      await this.#executor.registerOutputs(urn, { ...before, ...outputs });
    } catch (error) {
      this.#planningFailed(asError(error));
    }
  }

  async #endProgram(program: RunningProgram | undefined): Promise<void> {
    if (program === undefined) return;
    if (!this.#succeeded) return program.kill();
    try {
      await program.release();
    } catch (error) {
      this.#planningFailed(asError(error));
    }
  }

  #warnOfPending(operations: Snapshot["pendingOperations"]): void {
    if (operations.length === 0 || this.#options.preview) return;
    const list = operations.map(({ resource, type }) => `  * ${resource.urn}, interrupted while ${type}`).join("\n");
    this.report(
      "warning",
      `${operations.length} operations were interrupted in the last deployment:\n${list}\n` +
        "They are done again now where they are still needed; npm run refresh shows how things are",
    );
  }
}
