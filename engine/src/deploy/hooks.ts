import type { PropertyMap } from "../property/value.ts";
import type { HookType, ResourceState } from "../resource/state.ts";

/** What a hook hears of its resource. */
export interface HookCall {
  readonly state: ResourceState;
  readonly oldState: ResourceState | undefined;
  readonly newInputs: PropertyMap | undefined;
  readonly oldInputs: PropertyMap | undefined;
  readonly newOutputs: PropertyMap | undefined;
  readonly oldOutputs: PropertyMap | undefined;
}

/** What an error hook hears besides. */
export interface FailedOperation {
  readonly operation: "create" | "update" | "delete";
  readonly errors: readonly string[];
}

/** A hook that the program registered. */
export interface Hook {
  readonly onDryRun: boolean;
  readonly ignoreErrors: boolean;
  /** Rejects where the hook fails. */
  readonly run: (call: HookCall) => Promise<void>;
}

/** A hook that decides whether a failed operation is tried again. */
export type ErrorHook = (call: HookCall, failed: FailedOperation) => Promise<boolean>;

/** How often error hooks may have an operation tried again. */
export const maximumRetries = 100;

/** A hook failed or was named, but never registered. */
export class HookError extends Error {
  readonly code = "hook-failed";
  constructor(message: string) {
    super(message);
    this.name = "HookError";
  }
}

/** The hooks of a program by name. */
export class Hooks {
  readonly #hooks = new Map<string, Hook>();
  readonly #errorHooks = new Map<string, ErrorHook>();

  register(name: string, hook: Hook): void {
    if (this.#hooks.has(name)) throw new HookError(`resource hook "${name}" is registered twice`);
    this.#hooks.set(name, hook);
  }

  registerErrorHook(name: string, hook: ErrorHook): void {
    if (this.#errorHooks.has(name)) throw new HookError(`error hook "${name}" is registered twice`);
    this.#errorHooks.set(name, hook);
  }

  /**
   * Runs a resource's hooks of one kind, in order.
   *
   * @param warn hears of failures that the hook asked to ignore
   * @throws {HookError} where a hook fails or isn't registered
   */
  async run(
    type: HookType,
    call: HookCall,
    about: { readonly preview: boolean; readonly warn: (message: string) => void },
  ): Promise<void> {
    for (const name of call.state.resourceHooks.get(type) ?? []) {
      const hook = this.#hooks.get(name);
      if (hook === undefined) throw new HookError(`hook "${name}" was not registered`);
      if (about.preview && !hook.onDryRun) continue;
      try {
        await hook.run(call);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (!hook.ignoreErrors) {
          throw new HookError(`${type.startsWith("Before") ? "before" : "after"} hook "${name}" failed: ${reason}`);
        }
        about.warn(`${type} hook "${name}" failed: ${reason}`);
      }
    }
  }

  /** Asks a resource's error hooks whether to try again; one that says so is enough. */
  async shouldRetry(call: HookCall, failed: FailedOperation): Promise<boolean> {
    let retry = false;
    for (const name of call.state.resourceHooks.get("OnError") ?? []) {
      const hook = this.#errorHooks.get(name);
      if (hook === undefined) throw new HookError(`error hook "${name}" was not registered`);
      retry = (await hook(call, failed)) || retry;
    }
    return retry;
  }
}
