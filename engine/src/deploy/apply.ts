import { equalMaps } from "../property/equal.ts";
import { inverted } from "../property/diff.ts";
import { unknownString } from "../property/wire.ts";
import { InitError, noDiff, type DiffRequest, type DiffResult, type ResourceProvider } from "../provider/provider.ts";
import type { ProviderRegistry } from "../provider/registry.ts";
import type { HookType, ResourceState } from "../resource/state.ts";
import { isProviderType, type Urn } from "../resource/urn.ts";
import { DeploymentError } from "./errors.ts";
import type { Status } from "./event.ts";
import { maximumRetries, type FailedOperation, type HookCall, type Hooks } from "./hooks.ts";
import type { CreateStep, DeleteStep, ImportStep, ReadStep, RefreshStep, SameStep, Step, UpdateStep } from "./step.ts";

/** What applying a step needs. */
export interface ApplyTools {
  readonly registry: ProviderRegistry;
  readonly hooks: Hooks;
  readonly preview: boolean;
  readonly now: () => Date;
  /** URNs that are being deleted, for `deletedWith`. */
  readonly deletions: ReadonlySet<Urn>;
  readonly diff: (provider: ResourceProvider, request: DiffRequest) => Promise<DiffResult>;
  report(severity: "warning" | "error", message: string, urn?: Urn): void;
  /** Notes a failure that came after the resource was done. */
  failAfterwards(error: Error): void;
}

/** How a step went. An error with status partial leaves the resource in state. */
export interface Applied {
  readonly status: Status;
  readonly error: Error | undefined;
}

const done: Applied = { status: "ok", error: undefined };

/** A protected resource was asked to be deleted; other deletions go on, so that all of them are named. */
export class ProtectedError extends DeploymentError {
  constructor(urn: Urn) {
    super(
      `resource "${urn}" cannot be deleted: it is protected. ` +
        "Remove the protect option from the resource in the program and run up, then take the resource out",
      { urn },
    );
  }
}

/** Carries out a step: calls the provider and writes what came of it into the step's states. */
export function applyStep(step: Step, tools: ApplyTools): Promise<Applied> {
  switch (step.op) {
    case "same":
      return same(step, tools);
    case "create":
    case "create-replacement":
      return create(step, tools);
    case "update":
      return update(step, tools);
    case "delete":
    case "delete-replaced":
    case "discard":
    case "discard-replaced":
      return remove(step, tools);
    case "read":
    case "read-replacement":
      return read(step, tools);
    case "refresh":
      return refresh(step, tools);
    case "import":
    case "import-replacement":
      return takeOver(step, tools);
    case "replace":
    case "remove-pending-replace":
      return Promise.resolve(done);
  }
}

function providerOf(state: ResourceState, tools: ApplyTools): ResourceProvider {
  if (isProviderType(state.type)) return tools.registry;
  const provider = tools.registry.find(state.provider);
  if (provider === undefined) throw new DeploymentError(`unknown provider ${state.provider} for resource ${state.urn}`);
  return provider;
}

async function same(step: SameStep, tools: ApplyTools): Promise<Applied> {
  step.new.id = step.old.id;
  step.new.outputs = step.old.outputs;
  if (isProviderType(step.type)) await tools.registry.same({ ...step.new, inputs: step.old.inputs }, "check");
  return done;
}

async function create(step: CreateStep, tools: ApplyTools): Promise<Applied> {
  const state = step.new;
  const call: HookCall = {
    state,
    oldState: undefined,
    newInputs: state.inputs,
    oldInputs: undefined,
    newOutputs: undefined,
    oldOutputs: undefined,
  };
  await runHooks("BeforeCreate", call, tools);
  let applied = done;
  if (state.custom) {
    const request = {
      urn: state.urn,
      inputs: state.inputs,
      timeout: state.customTimeouts.create,
      preview: tools.preview,
    };
    applied = await attempt("create", call, tools, async () => {
      const created = await providerOf(state, tools).create(request);
      state.id = created.id;
      state.outputs = created.outputs;
      state.refreshBeforeUpdate = created.refreshBeforeUpdate;
    });
    if (applied.error instanceof InitError) takeInitError(state, applied.error);
    else if (applied.error !== undefined) return applied;
  }
  state.created = state.modified = tools.now().toISOString();
  if (step.old !== undefined && step.pendingDelete) step.old.delete = true;
  if (applied.error === undefined && state.custom) {
    await runAfterHooks("AfterCreate", { ...call, newOutputs: state.outputs }, tools);
  }
  return applied;
}

async function update(step: UpdateStep, tools: ApplyTools): Promise<Applied> {
  const { old, new: state } = step;
  state.id = old.id;
  state.created = old.created;
  state.modified = old.modified;
  const call: HookCall = {
    state,
    oldState: old,
    newInputs: state.inputs,
    oldInputs: old.inputs,
    newOutputs: undefined,
    oldOutputs: old.outputs,
  };
  await runHooks("BeforeUpdate", call, tools);
  let applied = done;
  if (state.custom) {
    const request = {
      urn: state.urn,
      id: old.id,
      oldInputs: old.inputs,
      oldOutputs: old.outputs,
      newInputs: state.inputs,
      timeout: state.customTimeouts.update,
      ignoreChanges: step.ignoreChanges,
      preview: tools.preview,
    };
    applied = await attempt("update", call, tools, async () => {
      const updated = await providerOf(state, tools).update(request);
      state.outputs = updated.outputs;
      state.refreshBeforeUpdate = updated.refreshBeforeUpdate;
    });
    if (applied.error instanceof InitError) {
      const { id } = state;
      takeInitError(state, applied.error);
      state.id = id;
      // The new inputs didn't take full effect: the next update compares with the old ones and tries again.
      state.inputs = old.inputs;
    } else if (applied.error !== undefined) return applied;
    state.modified = tools.now().toISOString();
  }
  if (applied.error === undefined && old.custom) {
    await runAfterHooks("AfterUpdate", { ...call, newOutputs: state.outputs }, tools);
  }
  return applied;
}

async function remove(step: DeleteStep, tools: ApplyTools): Promise<Applied> {
  const { old } = step;
  const call: HookCall = {
    state: old,
    oldState: old,
    newInputs: undefined,
    oldInputs: old.inputs,
    newOutputs: undefined,
    oldOutputs: old.outputs,
  };
  await runHooks("BeforeDelete", call, tools);
  const replaced = step.op === "delete-replaced" || step.op === "discard-replaced";
  if (!replaced && old.protect) return { status: "ok", error: new ProtectedError(old.urn) };
  const gone = old.external || old.retainOnDelete || (old.deletedWith !== "" && tools.deletions.has(old.deletedWith));
  if (!tools.preview && !gone && old.custom) {
    const request = {
      urn: old.urn,
      id: old.id,
      inputs: old.inputs,
      outputs: old.outputs,
      timeout: old.customTimeouts.delete,
    };
    const applied = await attempt("delete", call, tools, () => providerOf(old, tools).delete(request));
    if (applied.error !== undefined) return applied;
  }
  if (step.pendingReplacement) old.pendingReplacement = true;
  await runAfterHooks("AfterDelete", call, tools);
  return done;
}

async function read(step: ReadStep, tools: ApplyTools): Promise<Applied> {
  const { old, new: state } = step;
  let error: Error | undefined;
  if (state.id === unknownString) state.outputs = {};
  else {
    const request = {
      urn: state.urn,
      id: state.id,
      inputs: state.inputs,
      state: state.inputs,
      timeout: state.customTimeouts.read,
    };
    try {
      const found = await providerOf(state, tools).read(request);
      if (found.id === "") return { status: "ok", error: new DeploymentError(`resource '${state.id}' does not exist`) };
      state.outputs = found.outputs;
      state.id = found.id;
    } catch (failure) {
      if (!(failure instanceof InitError)) return { status: statusOf(), error: asError(failure) };
      takeInitError(state, failure);
      error = failure;
    }
  }
  if (step.op === "read-replacement" && old !== undefined) old.delete = true;
  if (old !== undefined) {
    state.created = old.created;
    state.modified = old.modified;
    if (!equalMaps(state.inputs, old.inputs) || !equalMaps(state.outputs, old.outputs)) {
      state.modified = tools.now().toISOString();
    }
  }
  return { status: error === undefined ? "ok" : "partial", error };
}

async function refresh(step: RefreshStep, tools: ApplyTools): Promise<Applied> {
  const { old } = step;
  if (!old.custom || isProviderType(old.type) || old.pendingReplacement) {
    step.outcome = { op: "same", state: old, diff: noDiff };
    return done;
  }
  const provider = providerOf(old, tools);
  let found: Awaited<ReturnType<ResourceProvider["read"]>>;
  let initErrors: readonly string[] = [];
  try {
    found = await provider.read({
      urn: old.urn,
      id: old.id,
      inputs: old.inputs,
      state: old.outputs,
      timeout: old.customTimeouts.read,
    });
  } catch (failure) {
    if (!(failure instanceof InitError)) return { status: statusOf(), error: asError(failure) };
    found = failure;
    initErrors = failure.reasons;
    const reasons = failure.reasons.map((reason) => `\n* ${reason}`).join("");
    tools.report("warning", `Refreshed resource is in an unhealthy state:${reasons}`, old.urn);
  }
  if (found.id === "") {
    step.outcome = { op: "delete", state: undefined, diff: noDiff };
    return done;
  }
  const inputs = found.inputs ?? old.inputs;
  const state: ResourceState = {
    ...old,
    id: found.id,
    inputs,
    outputs: found.outputs,
    initErrors,
    refreshBeforeUpdate: found.refreshBeforeUpdate,
  };
  if (!equalMaps(inputs, old.inputs) || !equalMaps(found.outputs, old.outputs)) {
    state.modified = tools.now().toISOString();
  }
  if (old.external) {
    step.outcome = { op: equalMaps(old.outputs, found.outputs) ? "same" : "update", state, diff: noDiff };
    return done;
  }
  const diff = await tools.diff(provider, {
    urn: old.urn,
    id: state.id,
    oldInputs: inputs,
    oldOutputs: found.outputs,
    newInputs: old.inputs,
    ignoreChanges: old.ignoreChanges,
    preview: tools.preview,
  });
  step.outcome = { op: diff.changes === "none" ? "same" : "update", state, diff: invert(diff) };
  return done;
}

function invert(diff: DiffResult): DiffResult {
  if (diff.detailedDiff === undefined) return diff;
  const entries = [...diff.detailedDiff].map(
    ([path, entry]) => [path, { ...entry, kind: inverted(entry.kind) }] as const,
  );
  return { ...diff, detailedDiff: new Map(entries) };
}

async function takeOver(step: ImportStep, tools: ApplyTools): Promise<Applied> {
  const state = step.new;
  try {
    const found = await providerOf(state, tools).read({
      urn: state.urn,
      id: state.importId,
      inputs: undefined,
      state: {},
      timeout: state.customTimeouts.read,
    });
    if (found.id === "") return missing(state.importId);
    if (found.inputs === undefined) {
      return {
        status: "ok",
        error: new DeploymentError(`the provider of ${state.type} does not support importing resources`),
      };
    }
    state.id = found.id;
    state.inputs = found.inputs;
    state.outputs = found.outputs;
    state.refreshBeforeUpdate = found.refreshBeforeUpdate;
  } catch (failure) {
    if (!(failure instanceof InitError)) return { status: statusOf(), error: asError(failure) };
    takeInitError(state, failure);
    state.inputs = failure.inputs ?? {};
  }
  step.old = { ...state };
  state.created = state.modified = tools.now().toISOString();
  if (step.original !== undefined) step.original.delete = true;
  return done;
}

function missing(id: string): Applied {
  return { status: "ok", error: new DeploymentError(`resource '${id}' does not exist`) };
}

function takeInitError(state: ResourceState, error: InitError): void {
  state.id = error.id;
  state.outputs = error.outputs;
  state.initErrors = error.reasons;
  state.refreshBeforeUpdate = error.refreshBeforeUpdate;
}

async function attempt(
  operation: FailedOperation["operation"],
  call: HookCall,
  tools: ApplyTools,
  action: () => Promise<void>,
): Promise<Applied> {
  const errors: string[] = [];
  for (;;) {
    try {
      await action();
      return done;
    } catch (failure) {
      const error = asError(failure);
      const applied: Applied = { status: error instanceof InitError ? "partial" : statusOf(), error };
      if (!call.state.resourceHooks.has("OnError")) return applied;
      errors.unshift(error.message);
      if (errors.length > maximumRetries) {
        tools.report("warning", `maximum number of error hook retries (${maximumRetries}) reached`, call.state.urn);
        return applied;
      }
      if (!(await tools.hooks.shouldRetry(call, { operation, errors }))) return applied;
      tools.report(
        "warning",
        `retrying ${operation} due to on-error hook request (${errors.length}/${maximumRetries})`,
        call.state.urn,
      );
    }
  }
}

function runHooks(type: HookType, call: HookCall, tools: ApplyTools): Promise<void> {
  const warn = (message: string) => {
    tools.report("warning", message, call.state.urn);
  };
  return tools.hooks.run(type, call, { preview: tools.preview, warn });
}

/** Runs hooks after the fact: their failure fails the deployment, but the resource is as it is. */
export async function runAfterHooks(type: HookType, call: HookCall, tools: ApplyTools): Promise<void> {
  try {
    await runHooks(type, call, tools);
  } catch (failure) {
    const error = asError(failure);
    tools.report("error", error.message, call.state.urn);
    tools.failAfterwards(error);
  }
}

function statusOf(): Status {
  return "unknown";
}

/** Anything thrown, as an error. */
export function asError(failure: unknown): Error {
  return failure instanceof Error ? failure : new Error(String(failure));
}
