import type { IResourceMonitorServer } from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import type { Callback } from "@pulumi/pulumi/proto/callback_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import resourceProto from "@pulumi/pulumi/proto/resource_pb.js";
import type {
  ReadResourceRequest,
  RegisterResourceRequest,
  RegisterResourceResponse,
  ResourceCallRequest,
  ResourceInvokeRequest,
  ResourceInvokeResponse,
  TransformResourceOptions,
} from "@pulumi/pulumi/proto/resource_pb.js";
import Empty from "google-protobuf/google/protobuf/empty_pb.js";
import type { Deployment } from "../deploy/deployment.ts";
import { DeploymentError } from "../deploy/errors.ts";
import { containsUnknowns, downgradeOutputs, isMap, outputDependencies, type PropertyMap } from "../property/value.ts";
import { fromWireValue, type WireOptions } from "../property/wire.ts";
import { UnsupportedProviderError, type CheckFailure, type DeploymentInfo } from "../provider/provider.ts";
import { fromStruct, toStruct } from "../provider/rpc.ts";
import type { ResourceState } from "../resource/state.ts";
import { isProviderType, typePackage, type Urn } from "../resource/urn.ts";
import { Callbacks } from "./callbacks.ts";
import { programErrorHook, programHook } from "./program-hooks.ts";
import {
  aliasesOf,
  dependenciesOf,
  hooksOf,
  inheritedProvider,
  registrationOptions,
  timeoutsOf,
  type Dependencies,
} from "./registration.ts";
import { ProviderLookup } from "./provider-lookup.ts";
import { RegisteredTransforms } from "./registered-transforms.ts";
import { handler } from "./server.ts";
import { SettledResources } from "./settled-resources.ts";
import { sourcePosition, stackTrace } from "./source-position.ts";
import { transformInvoke, transformResource } from "./transforms.ts";

const { ResourceMonitorFeature: feature } = resourceProto;

/** Features by the names that older SDKs ask for, and the numbers that newer ones are told. */
const features = {
  secrets: feature.RESOURCE_MONITOR_FEATURE_SECRETS,
  resourceReferences: feature.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
  outputValues: feature.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
  aliasSpecs: feature.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
  replacementTrigger: feature.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
  deletedWith: feature.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
  replaceWith: feature.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
  transforms: feature.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
  invokeTransforms: feature.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
  resourceHooks: feature.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
  errorHooks: feature.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
  invokeDependsOn: feature.RESOURCE_MONITOR_FEATURE_INVOKE_DEPENDS_ON,
  invokeParent: feature.RESOURCE_MONITOR_FEATURE_INVOKE_PARENT,
};

/** What a monitor tells its program of the deployment. */
export interface MonitorOptions {
  readonly deployment: Deployment;
  /** Without the monitor's own address, which is known only when it serves. */
  readonly info: Omit<DeploymentInfo, "monitorAddress">;
  /** The monitor's own address. */
  readonly address: () => string;
  readonly projectRoot: string;
  /** The program will register nothing more; resolves when it may end. */
  readonly finished: () => Promise<void>;
}

/**
 * The gRPC service `ResourceMonitor` (`pulumi` `sdk/proto/pulumi/resource.proto`): turns what a program or a
 * component provider asks into goals for the deployment.
 */
export class ResourceMonitor {
  readonly #options: MonitorOptions;
  readonly #deployment: Deployment;
  readonly #callbacks = new Callbacks();
  readonly #stackInvokeTransforms: Callback[] = [];
  readonly #transforms = new RegisteredTransforms();
  readonly #providers: ProviderLookup;
  readonly #settled = new SettledResources();

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#deployment = options.deployment;
    this.#providers = new ProviderLookup(options.deployment);
  }

  /** Closes the connections to the program. */
  close(): void {
    this.#callbacks.close();
  }

  /** The service. */
  service(): IResourceMonitorServer {
    return {
      getDeploymentInfo: handler(() => this.#deploymentInfo()),
      supportsFeature: handler((request) =>
        new resourceProto.SupportsFeatureResponse().setHassupport(Object.hasOwn(features, request.getId())),
      ),
      invoke: handler((request) => this.#invoke(request)),
      call: handler((request) => this.#call(request)),
      readResource: handler((request) => this.#read(request)),
      registerResource: handler((request) => this.#register(request)),
      registerResourceOutputs: handler(async (request) => {
        await this.#deployment.registerOutputs(request.getUrn(), downgraded(fromStruct(request.getOutputs())));
        return new Empty.Empty();
      }),
      registerStackTransform: handler((callback) => {
        this.#transforms.addForStack(callback);
        return new Empty.Empty();
      }),
      registerStackInvokeTransform: handler((callback) => {
        this.#stackInvokeTransforms.push(callback);
        return new Empty.Empty();
      }),
      registerResourceHook: handler((request) => {
        this.#deployment.hooks.register(request.getName(), {
          onDryRun: request.getOnDryRun(),
          ignoreErrors: request.getIgnoreErrors(),
          run: programHook(this.#callbacks, required(request.getCallback())),
        });
        return new Empty.Empty();
      }),
      registerErrorHook: handler((request) => {
        const hook = programErrorHook(this.#callbacks, required(request.getCallback()));
        this.#deployment.hooks.registerErrorHook(request.getName(), hook);
        return new Empty.Empty();
      }),
      registerPackage: handler((request) => {
        if (request.hasParameterization() || request.getDownloadUrl() !== "") {
          throw new UnsupportedProviderError(`package ${request.getName()}, parameterized or downloaded,`);
        }
        const reference = this.#providers.addPackage(request.getName(), request.getVersion());
        return new resourceProto.RegisterPackageResponse().setRef(reference);
      }),
      signalAndWaitForShutdown: handler(async () => {
        await this.#options.finished();
        return new Empty.Empty();
      }),
    };
  }

  #deploymentInfo(): InstanceType<typeof resourceProto.DeploymentInfo> {
    const { info } = this.#options;
    const message = new resourceProto.DeploymentInfo()
      .setProject(info.project)
      .setStack(info.stack)
      .setOrganization(info.organization)
      .setConfigsecretkeysList([...info.configSecretKeys])
      .setDryrun(info.preview)
      .setParallel(info.parallel)
      .setSupportedfeaturesList(Object.values(features));
    for (const [key, value] of info.config) message.getConfigMap().set(key, value);
    return message;
  }

  async #register(request: RegisterResourceRequest): Promise<RegisterResourceResponse> {
    const end = this.#settled.begin(request.getParent());
    try {
      return await this.#registerWithin(request);
    } finally {
      end();
    }
  }

  async #registerWithin(request: RegisterResourceRequest): Promise<RegisterResourceResponse> {
    const [type, name, parent] = [request.getType(), request.getName(), request.getParent()];
    const [custom, remote] = [request.getCustom(), request.getRemote()];
    const parentGoal = this.#deployment.world.goals.get(parent);
    let options = registrationOptions(request, parentGoal);
    if (custom || remote) {
      const own = request.getProvider() || inheritedProvider(request, parentGoal);
      options.setProvider(this.#providers.resolve(own, request.getProvidersMap(), parent, typePackage(type)));
    }
    let properties = fromStruct(request.getObject());
    const own = this.#transforms.own(request);
    for (const callback of this.#transforms.applying(own, parent)) {
      const resource = { name, type, custom, parent };
      ({ properties, options } = await transformResource(this.#callbacks, callback, resource, { properties, options }));
    }
    if (!custom) this.#providers.inherit(options.getProvidersMap(), parent);
    const dependencies = dependenciesOf(request, properties, options);
    if (isProviderType(type) && options.getVersion() !== "") {
      properties = { ...properties, __internal: {}, version: options.getVersion() };
    }
    const needsProvider = (custom && !isProviderType(type)) || remote;
    const version = options.getVersion();
    const provider = needsProvider
      ? options.getProvider() || (await this.#providers.byDefault(typePackage(type), version, request.getPackageref()))
      : "";
    const registered =
      remote && this.#providers.configured(provider).buildsComponents
        ? await this.#construct(request, options, properties, dependencies, provider)
        : await this.#registerOwn(request, options, downgraded(properties), dependencies, provider);
    const { state } = registered;
    this.#transforms.registered(state.urn, parent, own);
    if (!custom) this.#providers.componentHas(state.urn, new Map(options.getProvidersMap().entries()));
    this.#settled.settle(state.urn, parent, { custom, id: state.id });
    return this.#registerResponse(request, registered);
  }

  #registerResponse(request: RegisterResourceRequest, registered: Registered): RegisterResourceResponse {
    const { state } = registered;
    let outputs = request.getCustom() || request.getRemote() ? state.outputs : {};
    if (!request.getSupportspartialvalues()) {
      outputs = Object.fromEntries(Object.entries(outputs).filter(([, value]) => !containsUnknowns(value)));
    }
    const wire: WireOptions = {
      secrets: request.getAcceptsecrets(),
      references: request.getAcceptresources(),
      outputs: false,
      unknowns: true,
    };
    const response = new resourceProto.RegisterResourceResponse()
      .setUrn(state.urn)
      .setId(state.id)
      .setObject(toStruct(outputs, wire));
    for (const [key, urns] of registered.outputDependencies) {
      const list = new resourceProto.RegisterResourceResponse.PropertyDependencies().setUrnsList([...urns]);
      response.getPropertydependenciesMap().set(key, list);
    }
    return response;
  }

  async #registerOwn(
    request: RegisterResourceRequest,
    options: TransformResourceOptions,
    properties: PropertyMap,
    dependencies: Dependencies,
    provider: string,
  ): Promise<Registered> {
    const trigger = options.getReplacementTrigger();
    const { state } = await this.#deployment.register({
      type: request.getType(),
      name: request.getName(),
      custom: request.getCustom(),
      properties,
      parent: request.getParent(),
      protect: options.hasProtect() ? options.getProtect() : undefined,
      retainOnDelete: options.hasRetainOnDelete() ? options.getRetainOnDelete() : undefined,
      deleteBeforeReplace: options.hasDeleteBeforeReplace() ? options.getDeleteBeforeReplace() : undefined,
      dependencies: dependencies.all,
      propertyDependencies: dependencies.byProperty,
      provider,
      ignoreChanges: options.getIgnoreChangesList(),
      replaceOnChanges: options.getReplaceOnChangesList(),
      hideDiff: options.getHideDiffList(),
      additionalSecretOutputs: options.getAdditionalSecretOutputsList(),
      aliases: aliasesOf(options),
      importId: options.getImport(),
      customTimeouts: timeoutsOf(options),
      replacementTrigger: trigger === undefined ? null : fromWireValue(trigger.toJavaScript()),
      deletedWith: options.getDeletedWith(),
      replaceWith: options.getReplaceWithList(),
      sourcePosition: sourcePosition(request.getSourceposition(), this.#options.projectRoot),
      stackTrace: stackTrace(request.getStacktrace(), this.#options.projectRoot),
      resourceHooks: hooksOf(options),
    });
    return { state, outputDependencies: new Map() };
  }

  async #construct(
    request: RegisterResourceRequest,
    options: TransformResourceOptions,
    properties: PropertyMap,
    dependencies: Dependencies,
    reference: string,
  ): Promise<Registered> {
    const timeouts = options.getCustomTimeouts();
    try {
      const built = await this.#providers.configured(reference).construct(
        {
          type: request.getType(),
          name: request.getName(),
          parent: request.getParent(),
          inputs: properties,
          inputDependencies: dependencies.byProperty,
          providers: new Map(options.getProvidersMap().entries()),
          dependencies: dependencies.all,
          aliases: aliasesOf(options),
          protect: options.hasProtect() ? options.getProtect() : undefined,
          retainOnDelete: options.hasRetainOnDelete() ? options.getRetainOnDelete() : undefined,
          additionalSecretOutputs: options.getAdditionalSecretOutputsList(),
          deletedWith: options.getDeletedWith(),
          ignoreChanges: options.getIgnoreChangesList(),
          replaceOnChanges: options.getReplaceOnChangesList(),
          customTimeouts: timeouts && {
            create: timeouts.getCreate(),
            update: timeouts.getUpdate(),
            delete: timeouts.getDelete(),
          },
        },
        this.#info(),
      );
      return {
        state: { urn: built.urn, id: "", outputs: built.outputs },
        outputDependencies: built.outputDependencies,
      };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#deployment.fail(new DeploymentError(`${request.getType()} resource "${request.getName()}": ${reason}`));
      throw error;
    }
  }

  #info(): DeploymentInfo {
    return { ...this.#options.info, monitorAddress: this.#options.address() };
  }

  async #read(request: ReadResourceRequest): Promise<InstanceType<typeof resourceProto.ReadResourceResponse>> {
    const type = request.getType();
    const provider =
      request.getProvider() ||
      (await this.#providers.byDefault(typePackage(type), request.getVersion(), request.getPackageref()));
    const { state } = await this.#deployment.read({
      type,
      name: request.getName(),
      id: request.getId(),
      parent: request.getParent(),
      properties: downgraded(fromStruct(request.getProperties())),
      dependencies: request.getDependenciesList(),
      provider,
      additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
      sourcePosition: sourcePosition(request.getSourceposition(), this.#options.projectRoot),
      stackTrace: stackTrace(request.getStacktrace(), this.#options.projectRoot),
    });
    this.#settled.settle(state.urn, request.getParent(), { custom: true, id: state.id });
    const wire = {
      secrets: request.getAcceptsecrets(),
      references: request.getAcceptresources(),
      outputs: false,
      unknowns: true,
    };
    return new resourceProto.ReadResourceResponse().setUrn(state.urn).setProperties(toStruct(state.outputs, wire));
  }

  async #invoke(request: ResourceInvokeRequest): Promise<ResourceInvokeResponse> {
    const token = request.getTok();
    const provider = this.#providers.resolve(request.getProvider(), undefined, request.getParent(), typePackage(token));
    let args = downgraded(fromStruct(request.getArgs()));
    let options = new resourceProto.TransformInvokeOptions()
      .setProvider(provider)
      .setVersion(request.getVersion())
      .setPluginDownloadUrl(request.getPlugindownloadurl());
    for (const callback of this.#stackInvokeTransforms) {
      ({ args, options } = await transformInvoke(this.#callbacks, callback, token, { args, options }));
    }
    const reference =
      options.getProvider() ||
      (await this.#providers.byDefault(typePackage(token), options.getVersion(), request.getPackageref()));
    if (this.#settled.hasPending(request.getDependsonList())) {
      return new resourceProto.ResourceInvokeResponse().setUnknown(true);
    }
    let answer;
    try {
      answer = await this.#providers.configured(reference).invoke(token, args, this.#options.info.preview);
    } catch (error) {
      throw new Error(
        `invocation of ${token} returned an error: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    const wire = {
      secrets: true,
      references: request.getAcceptresources() || token === "pulumi:pulumi:getResource",
      outputs: false,
      unknowns: true,
    };
    return new resourceProto.ResourceInvokeResponse()
      .setReturn(toStruct(answer.outputs, wire))
      .setFailuresList(answer.failures.map(failureMessage))
      .setUnknown(answer.unknown === true);
  }

  async #call(request: ResourceCallRequest): Promise<InstanceType<typeof providerProto.CallResponse>> {
    const token = request.getTok();
    const args = fromStruct(request.getArgs());
    const self = args["__self__"];
    const selfUrn = isMap(self) && typeof self["urn"] === "string" ? self["urn"] : "";
    let reference = request.getProvider();
    if (isProviderType(token)) {
      const id = isMap(self) && typeof self["id"] === "string" ? self["id"] : "";
      reference = `${selfUrn}::${id}`;
    }
    reference ||= this.#deployment.world.goals.get(selfUrn)?.provider ?? "";
    reference ||= await this.#providers.byDefault(typePackage(token), request.getVersion(), request.getPackageref());
    const told = [...request.getArgdependenciesMap().entries()].map(
      ([key, list]) => [key, list.getUrnsList()] as const,
    );
    const argDependencies = new Map<string, readonly Urn[]>(told);
    for (const [key, value] of Object.entries(args)) {
      argDependencies.set(key, [...outputDependencies(value, new Set(argDependencies.get(key) ?? []))]);
    }
    const answer = await this.#providers.configured(reference).call({ token, args, argDependencies }, this.#info());
    const response = new providerProto.CallResponse()
      .setReturn(toStruct(answer.outputs, { secrets: true, references: true, outputs: false, unknowns: true }))
      .setFailuresList(answer.failures.map(failureMessage));
    for (const [key, urns] of answer.outputDependencies) {
      const list = new providerProto.CallResponse.ReturnDependencies().setUrnsList([...urns]);
      response.getReturndependenciesMap().set(key, list);
    }
    return response;
  }
}

interface Registered {
  readonly state: Pick<ResourceState, "urn" | "id" | "outputs">;
  readonly outputDependencies: ReadonlyMap<string, readonly Urn[]>;
}

function downgraded(map: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, downgradeOutputs(value)]));
}

function failureMessage(failure: CheckFailure): InstanceType<typeof providerProto.CheckFailure> {
  return new providerProto.CheckFailure().setProperty(failure.property).setReason(failure.reason);
}

function required(callback: Callback | undefined): Callback {
  if (callback === undefined) throw new DeploymentError("a hook must have a callback");
  return callback;
}
