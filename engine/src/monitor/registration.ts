import type { Alias as AliasMessage } from "@pulumi/pulumi/proto/alias_pb.js";
import resourceProto from "@pulumi/pulumi/proto/resource_pb.js";
import type { RegisterResourceRequest, TransformResourceOptions } from "@pulumi/pulumi/proto/resource_pb.js";
import aliasProto from "@pulumi/pulumi/proto/alias_pb.js";
import { outputDependencies, type PropertyMap } from "../property/value.ts";
import type { Alias, Goal } from "../resource/goal.ts";
import type { CustomTimeouts, HookType } from "../resource/state.ts";
import { parseProviderReference, typePackage, urnType, providerPackage, type Urn } from "../resource/urn.ts";

/** The options of a registration, as transforms see and change them. */
export function registrationOptions(
  request: RegisterResourceRequest,
  parent: Goal | undefined,
): TransformResourceOptions {
  const options = new resourceProto.TransformResourceOptions()
    .setImport(request.getImportid())
    .setDependsOnList(request.getDependenciesList())
    .setIgnoreChangesList(request.getIgnorechangesList())
    .setReplaceOnChangesList(request.getReplaceonchangesList())
    .setReplacementTrigger(request.getReplacementTrigger())
    .setVersion(request.getVersion())
    .setAliasesList(aliasMessages(request))
    .setProvider(request.getProvider())
    .setHideDiffList(request.getHidediffsList())
    .setCustomTimeouts(request.getCustomtimeouts())
    .setPluginDownloadUrl(request.getPlugindownloadurl())
    .setDeletedWith(request.getDeletedwith() || (parent?.deletedWith ?? ""))
    .setReplaceWithList(request.getReplaceWithList())
    .setAdditionalSecretOutputsList(request.getAdditionalsecretoutputsList())
    .setHooks(request.getHooks());
  const protect = request.hasProtect() ? request.getProtect() : parent?.protect;
  if (protect !== undefined) options.setProtect(protect);
  const retain = request.hasRetainondelete() ? request.getRetainondelete() : parent?.retainOnDelete;
  if (retain !== undefined) options.setRetainOnDelete(retain);
  if (request.getDeletebeforereplacedefined() || request.getDeletebeforereplace()) {
    options.setDeleteBeforeReplace(request.getDeletebeforereplace());
  }
  for (const [name, reference] of request.getProvidersMap().entries()) options.getProvidersMap().set(name, reference);
  return options;
}

/** The provider that a child of a custom resource takes over from it, if it is of the same package. */
export function inheritedProvider(request: RegisterResourceRequest, parent: Goal | undefined): string {
  if (parent === undefined || parent.provider === "") return "";
  const { urn } = parseProviderReference(parent.provider);
  const samePackage = providerPackage(urnType(urn)) === typePackage(request.getType());
  return (!request.getRemote() && !request.getCustom()) || samePackage ? parent.provider : "";
}

function aliasMessages(request: RegisterResourceRequest): AliasMessage[] {
  const urns = request.getAliasurnsList().map((urn) => new aliasProto.Alias().setUrn(urn));
  const aliases = request.getAliasesList();
  // SDKs that don't say that they send specs mean something else by an absent parent.
  return [...urns, ...(request.getAliasspecs() ? aliases : aliases.map(withExplicitParent))];
}

function withExplicitParent(alias: AliasMessage): AliasMessage {
  const spec = alias.getSpec();
  if (spec === undefined) return alias;
  const fixed = new aliasProto.Alias.Spec()
    .setName(spec.getName())
    .setType(spec.getType())
    .setStack(spec.getStack())
    .setProject(spec.getProject());
  if (spec.hasParenturn() && spec.getParenturn() !== "") fixed.setParenturn(spec.getParenturn());
  else if (!spec.getNoparent()) fixed.setNoparent(true);
  return new aliasProto.Alias().setSpec(fixed);
}

/** Aliases as planning takes them. */
export function aliasesOf(options: TransformResourceOptions): readonly Alias[] {
  return options.getAliasesList().map((message) => {
    const spec = message.getSpec();
    if (spec === undefined) return { urn: message.getUrn() };
    return {
      ...(spec.getName() === "" ? {} : { name: spec.getName() }),
      ...(spec.getType() === "" ? {} : { type: spec.getType() }),
      ...(spec.getStack() === "" ? {} : { stack: spec.getStack() }),
      ...(spec.getProject() === "" ? {} : { project: spec.getProject() }),
      ...(spec.hasParenturn() && spec.getParenturn() !== "" ? { parent: spec.getParenturn() } : {}),
      ...(spec.getNoparent() ? { noParent: true } : {}),
    };
  });
}

/** What a resource and each of its properties depend on. */
export interface Dependencies {
  readonly all: readonly Urn[];
  readonly byProperty: ReadonlyMap<string, readonly Urn[]>;
}

/** The dependencies of a registration, those that its output values name included. */
export function dependenciesOf(
  request: RegisterResourceRequest,
  properties: PropertyMap,
  options: TransformResourceOptions,
): Dependencies {
  const byProperty = new Map<string, Set<Urn>>();
  const all = new Set(options.getDependsOnList());
  if (request.getTransformsList().length > 0) {
    for (const [key, value] of Object.entries(properties)) {
      const urns = outputDependencies(value);
      byProperty.set(key, urns);
      for (const urn of urns) all.add(urn);
    }
  } else {
    const told = request.getPropertydependenciesMap();
    if (told.getLength() === 0 && !request.getRemote()) {
      for (const key of Object.keys(properties)) byProperty.set(key, new Set(all));
    } else {
      for (const [key, list] of told.entries()) byProperty.set(key, new Set(list.getUrnsList()));
    }
    for (const [key, value] of Object.entries(properties)) {
      byProperty.set(key, outputDependencies(value, byProperty.get(key) ?? new Set()));
    }
  }
  return { all: [...all], byProperty: new Map([...byProperty].map(([key, urns]) => [key, [...urns]])) };
}

/** Timeouts in seconds. */
export function timeoutsOf(options: TransformResourceOptions): CustomTimeouts {
  const timeouts = options.getCustomTimeouts();
  return {
    create: seconds(timeouts?.getCreate() ?? ""),
    update: seconds(timeouts?.getUpdate() ?? ""),
    delete: seconds(timeouts?.getDelete() ?? ""),
    read: seconds(timeouts?.getRead() ?? ""),
  };
}

const unitSeconds: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Seconds of a Go duration such as `1h30m`. */
export function seconds(duration: string): number {
  if (duration === "" || duration === "0") return 0;
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/gy)];
  if (parts.map(([part]) => part).join("") !== duration) {
    throw new Error(`unable to parse customTimeout value ${duration}; expected something like 90s or 1h30m`);
  }
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (unitSeconds[unit ?? "s"] ?? 0), 0);
}

/** The names of a resource's hooks by kind. */
export function hooksOf(options: TransformResourceOptions): ReadonlyMap<HookType, readonly string[]> {
  const hooks = options.getHooks();
  if (hooks === undefined) return new Map();
  const all: [HookType, string[]][] = [
    ["BeforeCreate", hooks.getBeforeCreateList()],
    ["AfterCreate", hooks.getAfterCreateList()],
    ["BeforeUpdate", hooks.getBeforeUpdateList()],
    ["AfterUpdate", hooks.getAfterUpdateList()],
    ["BeforeDelete", hooks.getBeforeDeleteList()],
    ["AfterDelete", hooks.getAfterDeleteList()],
    ["OnError", hooks.getOnErrorList()],
  ];
  return new Map(all.filter(([, names]) => names.length > 0));
}
