import type { Provider, ResourceProvider } from "../provider/provider.ts";
import type { ProviderRegistry } from "../provider/registry.ts";
import type { Goal } from "../resource/goal.ts";
import type { PendingOperation, ResourceState } from "../resource/state.ts";
import { isProviderType, type Urn } from "../resource/urn.ts";
import type { SnapshotRecorder } from "../state/snapshot-recorder.ts";
import type { Recovery } from "./planner-surroundings.ts";
import type { World } from "./world.ts";

/** What recovering needs. */
export interface RecoveryTools {
  readonly world: World;
  readonly registry: ProviderRegistry;
  /** Undefined in previews. */
  readonly recorder: SnapshotRecorder | undefined;
  readonly now: () => Date;
  readonly report: (severity: "info" | "warning", message: string, urn?: Urn) => void;
}

/**
 * Settles creations that were cut off (a crash, a lost connection). State has the inputs that each was begun with,
 * automatic name included, so the object is looked for by them: found, it is adopted; not found, it is created under
 * the same name, so that an object that shows up late is a conflict and never a double.
 */
export class CreationRecovery {
  readonly #tools: RecoveryTools;
  readonly #open: Map<Urn, PendingOperation>;

  constructor(pending: readonly PendingOperation[], tools: RecoveryTools) {
    this.#tools = tools;
    this.#open = new Map(
      pending.filter(({ type }) => type === "creating").map((operation) => [operation.resource.urn, operation]),
    );
  }

  /** Looks for what a cut-off creation of `urn` left. */
  async recover(
    urn: Urn,
    goal: Goal,
    old: ResourceState | undefined,
    provider: ResourceProvider | undefined,
  ): Promise<Recovery> {
    const operation = this.#open.get(urn);
    if (operation === undefined) return { old, recordedInputs: undefined };
    this.#open.delete(urn);
    const { recorder, world } = this.#tools;
    recorder?.settle(operation);
    if (isProviderType(goal.type) || provider === undefined) return { old, recordedInputs: undefined };
    const recordedInputs = operation.resource.inputs;
    const found = await this.#find(operation, provider);
    if (found === undefined || found.id === old?.id) return { old, recordedInputs };
    const adopted: ResourceState = { ...found, parent: goal.parent, provider: goal.provider };
    if (old !== undefined) old.delete = true;
    await recorder?.end(undefined, { added: adopted, changed: old });
    world.rebase([...world.previous, adopted]);
    return { old: adopted, recordedInputs };
  }

  /**
   * Settles what the program doesn't register any more: objects that are found are put into state, so that they are
   * deleted or refreshed like everything else.
   */
  async leftovers(): Promise<readonly ResourceState[]> {
    const { registry, recorder, world, report } = this.#tools;
    const adopted: ResourceState[] = [];
    for (const [urn, operation] of this.#open) {
      this.#open.delete(urn);
      const { resource } = operation;
      if (!resource.custom || isProviderType(resource.type)) {
        recorder?.settle(operation);
        continue;
      }
      const known = world.previous.some((state) => `${state.urn}::${state.id}` === resource.provider);
      if (known) await registry.ensure(resource.provider, world.previous);
      const provider = registry.find(resource.provider);
      if (provider === undefined || !provider.findsByInputs) {
        report(
          "warning",
          `the creation of ${urn} was interrupted, and its provider can't say whether the object exists; ` +
            "look for it by hand, then remove the pending operation with: npm run stack -- settle --stack NAME",
          urn,
        );
        continue;
      }
      const found = await this.#find(operation, provider);
      recorder?.settle(operation);
      if (found !== undefined && found.id !== world.olds.get(urn)?.id) {
        const state: ResourceState = { ...found, delete: world.olds.has(urn) };
        adopted.push(state);
        await recorder?.end(undefined, { added: state });
      }
    }
    if (adopted.length > 0) world.rebase([...world.previous, ...adopted]);
    return adopted;
  }

  async #find(operation: PendingOperation, provider: ResourceProvider): Promise<ResourceState | undefined> {
    if (!canFind(provider)) return undefined;
    const { resource } = operation;
    const found = await provider.read({
      urn: resource.urn,
      id: "",
      inputs: resource.inputs,
      state: {},
      timeout: resource.customTimeouts.read,
    });
    if (found.id === "") return undefined;
    this.#tools.report("info", `found ${found.id}, whose creation was interrupted, and adopted it`, resource.urn);
    const now = this.#tools.now().toISOString();
    return {
      ...resource,
      id: found.id,
      outputs: found.outputs,
      dependencies: [],
      propertyDependencies: new Map(),
      deletedWith: "",
      replaceWith: [],
      created: now,
      modified: now,
    };
  }
}

function canFind(provider: ResourceProvider): provider is Provider {
  return "findsByInputs" in provider && provider.findsByInputs === true;
}
