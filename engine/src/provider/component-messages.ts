import aliasProto from "@pulumi/pulumi/proto/alias_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import type {
  CallRequest as CallMessage,
  ConstructRequest as ConstructMessage,
} from "@pulumi/pulumi/proto/provider_pb.js";
import type { WireOptions } from "../property/wire.ts";
import type { Alias } from "../resource/goal.ts";
import type { Urn } from "../resource/urn.ts";
import type { CallRequest, ConstructRequest, DeploymentInfo } from "./provider.ts";
import { toStruct } from "./rpc.ts";

/** The message that asks a provider to build a component. */
export function constructRequest(request: ConstructRequest, info: DeploymentInfo, wire: WireOptions): ConstructMessage {
  const message = new providerProto.ConstructRequest()
    .setType(request.type)
    .setName(request.name)
    .setParent(request.parent)
    .setInputs(toStruct(request.inputs, wire))
    .setProject(info.project)
    .setStack(info.stack)
    .setOrganization(info.organization)
    .setConfigsecretkeysList([...info.configSecretKeys])
    .setDryrun(info.preview)
    .setParallel(info.parallel)
    .setMonitorendpoint(info.monitorAddress)
    .setDependenciesList([...request.dependencies])
    .setAliasesList(request.aliases.map(aliasMessage))
    .setAdditionalsecretoutputsList([...request.additionalSecretOutputs])
    .setDeletedwith(request.deletedWith)
    .setIgnorechangesList([...request.ignoreChanges])
    .setReplaceonchangesList([...request.replaceOnChanges])
    .setAcceptsOutputValues(true);
  if (request.protect !== undefined) message.setProtect(request.protect);
  if (request.retainOnDelete !== undefined) message.setRetainondelete(request.retainOnDelete);
  if (request.customTimeouts !== undefined) {
    message.setCustomtimeouts(
      new providerProto.ConstructRequest.CustomTimeouts()
        .setCreate(request.customTimeouts.create)
        .setUpdate(request.customTimeouts.update)
        .setDelete(request.customTimeouts.delete),
    );
  }
  for (const [key, value] of info.config) message.getConfigMap().set(key, value);
  for (const [name, reference] of request.providers) message.getProvidersMap().set(name, reference);
  for (const [key, urns] of request.inputDependencies) {
    const dependencies = new providerProto.ConstructRequest.PropertyDependencies().setUrnsList([...urns]);
    message.getInputdependenciesMap().set(key, dependencies);
  }
  return message;
}

function aliasMessage(alias: Alias): InstanceType<typeof aliasProto.Alias> {
  const message = new aliasProto.Alias();
  if (alias.urn !== undefined) return message.setUrn(alias.urn);
  const spec = new aliasProto.Alias.Spec();
  if (alias.name !== undefined) spec.setName(alias.name);
  if (alias.type !== undefined) spec.setType(alias.type);
  if (alias.stack !== undefined) spec.setStack(alias.stack);
  if (alias.project !== undefined) spec.setProject(alias.project);
  if (alias.parent !== undefined) spec.setParenturn(alias.parent);
  else if (alias.noParent === true) spec.setNoparent(true);
  return message.setSpec(spec);
}

/** The message that calls a method of a component. */
export function callRequest(request: CallRequest, info: DeploymentInfo, wire: WireOptions): CallMessage {
  const message = new providerProto.CallRequest()
    .setTok(request.token)
    .setArgs(toStruct(request.args, wire))
    .setProject(info.project)
    .setStack(info.stack)
    .setDryrun(info.preview)
    .setParallel(info.parallel)
    .setMonitorendpoint(info.monitorAddress)
    .setAcceptsOutputValues(true);
  for (const [key, value] of info.config) message.getConfigMap().set(key, value);
  for (const [key, urns] of request.argDependencies) {
    message
      .getArgdependenciesMap()
      .set(key, new providerProto.CallRequest.ArgumentDependencies().setUrnsList([...urns]));
  }
  return message;
}

/** The URNs that each output depends on. */
export function dependencyMap(map: {
  entries(): { next(): { done?: boolean; value: [string, { getUrnsList(): string[] }] } };
}): ReadonlyMap<string, readonly Urn[]> {
  const dependencies = new Map<string, readonly Urn[]>();
  const entries = map.entries();
  for (let entry = entries.next(); entry.done !== true; entry = entries.next()) {
    const [key, list] = entry.value;
    dependencies.set(key, list.getUrnsList());
  }
  return dependencies;
}
