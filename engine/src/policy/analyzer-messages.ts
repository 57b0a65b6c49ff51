import analyzerProto from "@pulumi/pulumi/proto/analyzer_pb.js";
import type { AnalyzeRequest, AnalyzerResource } from "@pulumi/pulumi/proto/analyzer_pb.js";
import type { PropertyMap } from "../property/value.ts";
import { toStruct } from "../provider/rpc.ts";
import type { Goal } from "../resource/goal.ts";
import type { ResourceState } from "../resource/state.ts";
import { urnName } from "../resource/urn.ts";

/** Policies see secrets and unknowns as what they are. */
const struct = (map: PropertyMap) =>
  toStruct(map, { secrets: true, references: false, outputs: false, unknowns: true });

function options(
  state: ResourceState,
  goal: Goal | undefined,
): InstanceType<typeof analyzerProto.AnalyzerResourceOptions> {
  const { create, update, delete: remove, read } = state.customTimeouts;
  const message = new analyzerProto.AnalyzerResourceOptions()
    .setProtect(state.protect)
    .setIgnorechangesList([...state.ignoreChanges])
    .setAdditionalsecretoutputsList([...state.additionalSecretOutputs])
    .setAliasesList([...state.aliases])
    .setCustomtimeouts(
      new analyzerProto.AnalyzerResourceOptions.CustomTimeouts()
        .setCreate(create)
        .setUpdate(update)
        .setDelete(remove)
        .setRead(read),
    )
    .setParent(state.parent);
  if (goal?.deleteBeforeReplace !== undefined) {
    message.setDeletebeforereplace(goal.deleteBeforeReplace).setDeletebeforereplacedefined(true);
  }
  return message;
}

function provider(state: ResourceState): InstanceType<typeof analyzerProto.AnalyzerProviderResource> {
  return new analyzerProto.AnalyzerProviderResource()
    .setUrn(state.urn)
    .setType(state.type)
    .setName(urnName(state.urn))
    .setProperties(struct(state.inputs));
}

/** One resource before anything is done to it, by its inputs. */
export function analyzeRequest(
  state: ResourceState,
  inputs: PropertyMap,
  goal: Goal,
  providerState: ResourceState | undefined,
): AnalyzeRequest {
  const request = new analyzerProto.AnalyzeRequest()
    .setUrn(state.urn)
    .setType(state.type)
    .setName(urnName(state.urn))
    .setProperties(struct(inputs))
    .setOptions(options(state, goal));
  if (providerState !== undefined) request.setProvider(provider(providerState));
  return request;
}

/** One resource of the finished stack, by its outputs. */
export function stackResource(state: ResourceState, providerState: ResourceState | undefined): AnalyzerResource {
  const resource = new analyzerProto.AnalyzerResource()
    .setUrn(state.urn)
    .setType(state.type)
    .setName(urnName(state.urn))
    .setProperties(struct(state.outputs))
    .setOptions(options(state, undefined))
    .setParent(state.parent)
    .setDependenciesList([...state.dependencies]);
  for (const [key, urns] of state.propertyDependencies) {
    resource
      .getPropertydependenciesMap()
      .set(key, new analyzerProto.AnalyzerPropertyDependencies().setUrnsList([...urns]));
  }
  if (providerState !== undefined) resource.setProvider(provider(providerState));
  return resource;
}
