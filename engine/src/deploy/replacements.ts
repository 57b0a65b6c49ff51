import { Unknown, type PropertyMap, type PropertyValue } from "../property/value.ts";
import type { DiffRequest, DiffResult, ResourceProvider } from "../provider/provider.ts";
import type { ProviderRegistry } from "../provider/registry.ts";
import { isProvider, providerUrnOf, type ResourceState } from "../resource/state.ts";
import type { Urn } from "../resource/urn.ts";
import { DeploymentError } from "./errors.ts";
import { applyReplaceOnChanges, isReplacement } from "./replace-on-changes.ts";
import type { World } from "./world.ts";

/** A resource that must be replaced with another one, and the properties because of which. */
export interface DependentReplacement {
  readonly state: ResourceState;
  readonly keys: readonly string[];
}

/** What {@link dependentReplacements} asks. */
export interface ReplacementQuestions {
  readonly world: World;
  readonly registry: ProviderRegistry;
  readonly diff: (provider: ResourceProvider, request: DiffRequest) => Promise<DiffResult>;
}

/**
 * What must be deleted before a resource is deleted for its replacement: of all that depends on it, whatever would be
 * replaced if the properties that come from the resource were unknown. Resources that the program has registered
 * already can't depend on it any more.
 */
export async function dependentReplacements(
  root: ResourceState,
  registered: ReadonlySet<Urn>,
  questions: ReplacementQuestions,
): Promise<readonly DependentReplacement[]> {
  const replaced = new Set<Urn>([root.urn]);
  const found: DependentReplacement[] = [];
  for (const state of questions.world.graph.dependingOn(root, registered)) {
    const keys = await replacementKeys(state, replaced, questions);
    if (keys === undefined) continue;
    found.push({ state, keys });
    replaced.add(state.urn);
  }
  return found;
}

async function replacementKeys(
  state: ResourceState,
  replaced: ReadonlySet<Urn>,
  { world, registry, diff }: ReplacementQuestions,
): Promise<readonly string[] | undefined> {
  if (!state.custom || state.external) return undefined;
  const providerUrn = providerUrnOf(state);
  if (providerUrn !== undefined && replaced.has(providerUrn)) {
    await registry.ensure(state.provider, world.previous);
    return [];
  }
  const inputs: Record<string, PropertyValue> = {};
  let affected = false;
  for (const [key, value] of Object.entries(state.inputs)) {
    const depends = (state.propertyDependencies.get(key) ?? []).some((urn) => replaced.has(urn));
    affected ||= depends;
    inputs[key] = depends ? Unknown.value : value;
  }
  if (!affected) return undefined;
  const newInputs: PropertyMap = inputs;
  let provider: ResourceProvider | undefined = registry;
  if (isProvider(state)) await registry.same(state, "state");
  else {
    await registry.ensure(state.provider, world.previous);
    provider = registry.find(state.provider);
  }
  if (provider === undefined) throw new DeploymentError(`unknown provider ${state.provider} for resource ${state.urn}`);
  const answer = await diff(provider, {
    urn: state.urn,
    id: state.id,
    oldInputs: state.inputs,
    oldOutputs: state.outputs,
    newInputs,
    ignoreChanges: state.ignoreChanges,
    preview: true,
  });
  const result = applyReplaceOnChanges(answer, state.replaceOnChanges, []);
  return isReplacement(result) ? result.replaceKeys : undefined;
}

/** The resources that ask to be replaced whenever `urn` is (`replaceWith`). */
export function replacedWith(urn: Urn, world: World): readonly DependentReplacement[] {
  const byUrn = new Map<Urn, ResourceState>();
  for (const states of [world.news, world.olds]) {
    for (const state of states.values()) {
      if (!byUrn.has(state.urn) && state.replaceWith.includes(urn)) byUrn.set(state.urn, state);
    }
  }
  return [...byUrn.values()].map((state) => ({ state, keys: [] }));
}
