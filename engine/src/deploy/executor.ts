import { equalMaps } from "../property/equal.ts";
import { Secret, type PropertyMap, type PropertyValue } from "../property/value.ts";
import { unchangedButFor } from "./unchanged.ts";
import type { OperationType, ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";
import type { OperationHandle, SnapshotRecorder } from "../state/snapshot-recorder.ts";
import { isDefaultProvider } from "./aliases.ts";
import { applyStep, asError, ProtectedError, runAfterHooks, type Applied, type ApplyTools } from "./apply.ts";
import { DeploymentError, ShutDownError } from "./errors.ts";
import type { ChangeCounts, EventSink } from "./event.ts";
import { isLogical, subjectOf, type Op, type Step } from "./step.ts";
import { Workers } from "./turn.ts";
import type { World } from "./world.ts";

/** What an executor needs. */
export interface ExecutorOptions {
  readonly world: World;
  readonly tools: ApplyTools;
  /** Undefined in previews, which change no state. */
  readonly recorder: SnapshotRecorder | undefined;
  readonly parallel: number;
  readonly emit: EventSink;
  /** Failures don't stop other steps (refresh). */
  readonly keepGoing: boolean;
}

/**
 * Carries out steps on a bounded number of workers (`pulumi` `pkg/resource/deploy/step_executor.go`). A step is in
 * state as pending before it is applied, and its result is in state before the program hears of it; a worker goes on to
 * the next step meanwhile, whose beginning is then in the same write or a later one. The first failure stops everything
 * that hasn't begun.
 */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #workers: Workers;
  readonly #counts: Partial<Record<Op, number>> = {};
  readonly #latest = new Map<Urn, Step>();
  #steps = 0;
  #stopped = false;
  /** The first failure. */
  failure: Error | undefined;
  /** True where a provider failed in a way that leaves open what happened. */
  maybeCorrupt = false;
  /** Called once when steps must not begin any more. */
  onStop: () => void = () => undefined;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#workers = new Workers(options.parallel);
  }

  /** The changes so far, by kind. */
  get counts(): ChangeCounts {
    return this.#counts;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Lets nothing begin any more; what runs goes on. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.onStop();
  }

  /** Runs any job on a worker, such as a diff. */
  work<T>(job: () => Promise<T>): Promise<T> {
    return this.#workers.run(() => (this.#stopped ? Promise.reject(new ShutDownError()) : job()));
  }

  /** Runs steps one after the other and resolves when they are done or one has failed. */
  async run(steps: readonly Step[]): Promise<void> {
    const written: Promise<void>[] = [];
    await this.#workers.run(async () => {
      for (const step of steps) {
        if (this.#stopped) return;
        try {
          const { answered } = await this.#execute(step);
          written.push(answered);
        } catch (failure) {
          this.#fail(step, asError(failure));
          return;
        }
      }
    });
    await Promise.all(written);
  }

  /** As {@link run}, but rejects where a step failed. */
  async runOrThrow(steps: readonly Step[]): Promise<void> {
    await this.run(steps);
    if (this.#stopped) throw new ShutDownError();
  }

  /** Runs steps beside each other and resolves when all are done. */
  async runAll(steps: readonly Step[]): Promise<void> {
    await Promise.all(steps.map((step) => this.run([step])));
  }

  /** Carries out a step. What it returns resolves when its result is in state and the program has heard of it. */
  async #execute(step: Step): Promise<{ readonly answered: Promise<void> }> {
    const { emit, tools, recorder } = this.#options;
    const internal = isInternal(step);
    emit({ kind: "resource-begins", step, planning: tools.preview, internal });
    const operation = pendingOperation(step);
    const handle =
      recorder === undefined || operation === undefined ? undefined : await recorder.begin(operation, subjectOf(step));
    let applied: Applied;
    try {
      applied = await applyStep(step, tools);
    } catch (failure) {
      applied = { status: "ok", error: asError(failure) };
    }
    const fresh = step.op === "refresh" ? step.outcome?.state : step.new;
    if (fresh !== undefined && step.op !== "replace" && (applied.error === undefined || applied.status === "partial")) {
      fresh.outputs = markSecrets(fresh);
      if (step.op === "read" || step.op === "read-replacement") this.#options.world.reads.set(fresh.urn, fresh);
      else this.#options.world.news.set(fresh.urn, fresh);
    }
    if (applied.error === undefined && isLogical(step)) this.#latest.set(step.urn, step);
    this.#announce(step, applied, internal);
    const recorded = this.#record(step, applied, handle);
    if (applied.error !== undefined) {
      await recorded;
      throw new StepError(applied.error);
    }
    const answered = recorded.then(
      () => {
        if ("answer" in step) step.answer?.({ state: step.new });
      },
      (failure: unknown) => {
        this.#fail(step, asError(failure));
      },
    );
    return { answered };
  }

  #announce(step: Step, applied: Applied, internal: boolean): void {
    const { emit, tools } = this.#options;
    if (applied.error !== undefined) {
      if (applied.status === "unknown") this.maybeCorrupt = true;
      const urn = internal ? undefined : step.urn;
      const message = tools.preview ? `preview failed: ${applied.error.message}` : applied.error.message;
      emit({ kind: "diagnostic", severity: "error", urn, message, streamId: 0, ephemeral: false });
      if (!tools.preview) emit({ kind: "resource-failed", step, status: applied.status, steps: this.#steps });
      return;
    }
    const op = step.op === "refresh" ? (step.outcome?.op ?? "same") : step.op;
    const counted = step.op === "refresh" || (step.op === "read" ? changedRead(step.old, step.new) : isLogical(step));
    if (counted && !internal) {
      this.#steps += 1;
      this.#counts[op] = (this.#counts[op] ?? 0) + 1;
    }
    const shown = tools.preview || subjectOf(step).custom || step.op === "refresh" || step.op === "delete";
    if (shown) emit({ kind: "resource-done", step, op, planning: tools.preview, internal });
  }

  async #record(step: Step, applied: Applied, handle: OperationHandle | undefined): Promise<void> {
    const { recorder } = this.#options;
    if (recorder === undefined) return;
    if (applied.error !== undefined && applied.status !== "partial") {
      if (handle !== undefined) await recorder.end(handle);
      return;
    }
    switch (step.op) {
      case "same":
        recorder.same(step.old, step.new);
        if (!unchangedButFor(step.old, step.new)) await recorder.flush();
        return;
      case "create":
      case "create-replacement": {
        const finished = step.old?.pendingReplacement === true;
        return recorder.end(
          handle,
          finished ? { added: step.new, removed: step.old } : { added: step.new, changed: step.old },
        );
      }
      case "update":
      case "read":
      case "read-replacement":
        return recorder.end(handle, {
          added: step.new,
          removed: step.op === "read-replacement" ? undefined : step.old,
          changed: step.old,
        });
      case "delete":
      case "delete-replaced":
      case "discard":
      case "discard-replaced":
        return recorder.end(handle, step.pendingReplacement ? { changed: step.old } : { removed: step.old });
      case "remove-pending-replace":
        return recorder.end(handle, { removed: step.old });
      case "import":
      case "import-replacement":
        return recorder.end(handle, { added: step.new, changed: step.original });
      case "replace":
      case "refresh":
        return;
    }
  }

  #fail(step: Step, failure: Error): void {
    const error = failure instanceof StepError ? failure.reason : failure;
    if (!(failure instanceof StepError)) {
      this.#options.emit({
        kind: "diagnostic",
        severity: "error",
        urn: step.urn,
        message: error.message,
        streamId: 0,
        ephemeral: false,
      });
    }
    this.failure ??= error;
    if (!this.#options.keepGoing && !(error instanceof ProtectedError)) this.stop();
  }

  /**
   * Sets the outputs of a component or of the stack.
   *
   * @throws {DeploymentError} where the resource isn't registered
   */
  async registerOutputs(urn: Urn, outputs: PropertyMap): Promise<void> {
    const { recorder, emit, tools } = this.#options;
    const step = this.#latest.get(urn);
    if (step === undefined || step.new === undefined) {
      throw new DeploymentError(`cannot complete a resource '${urn}' whose registration isn't pending`);
    }
    this.#latest.delete(urn);
    const state = step.new;
    const before = step.op === "create" ? undefined : step.old;
    const changed = !equalMaps(state.outputs, outputs);
    state.outputs = outputs;
    if (!state.custom) await this.#afterHooks(step, state);
    emit({ kind: "resource-done", step, op: step.op, planning: tools.preview, internal: isInternal(step) });
    if (recorder === undefined) return;
    recorder.changed(state);
    if (changed && !(before !== undefined && equalMaps(before.outputs, outputs))) await recorder.flush();
  }

  async #afterHooks(step: Step, state: ResourceState): Promise<void> {
    const call = {
      state,
      oldState: step.old,
      newInputs: state.inputs,
      oldInputs: step.old?.inputs,
      newOutputs: state.outputs,
      oldOutputs: step.old?.outputs,
    };
    if (step.op === "create") await runAfterHooks("AfterCreate", call, this.#options.tools);
    if (step.op === "update") await runAfterHooks("AfterUpdate", call, this.#options.tools);
  }
}

/** A failure that has already been shown. */
class StepError extends Error {
  readonly reason: Error;
  constructor(reason: Error) {
    super(reason.message);
    this.reason = reason;
  }
}

/** Steps that no one needs to see: those of default providers, and repairs of state. */
function isInternal(step: Step): boolean {
  return step.op === "remove-pending-replace" || isDefaultProvider(step.urn);
}

function pendingOperation(step: Step): OperationType | undefined {
  switch (step.op) {
    case "create":
    case "create-replacement":
      return "creating";
    case "update":
      return "updating";
    case "delete":
    case "delete-replaced":
    case "discard":
    case "discard-replaced":
      return "deleting";
    case "read":
    case "read-replacement":
      return "reading";
    case "import":
    case "import-replacement":
      return "importing";
    case "same":
    case "replace":
    case "refresh":
    case "remove-pending-replace":
      return undefined;
  }
}

function changedRead(old: ResourceState | undefined, fresh: ResourceState): boolean {
  return old !== undefined && !equalMaps(old.outputs, fresh.outputs);
}

/** Outputs are secret where the program says so, and where the input of the same name is. */
function markSecrets(state: ResourceState): PropertyMap {
  const marked: Record<string, PropertyValue> = {};
  let changed = false;
  for (const [key, value] of Object.entries(state.outputs)) {
    const secret = state.additionalSecretOutputs.includes(key) || state.inputs[key] instanceof Secret;
    changed ||= secret && !(value instanceof Secret);
    marked[key] = secret && !(value instanceof Secret) ? new Secret(value) : value;
  }
  return changed ? marked : state.outputs;
}
