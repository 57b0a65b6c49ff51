import { status as codes } from "@grpc/grpc-js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import type { CheckRequest as CheckMessage, DiffResponse } from "@pulumi/pulumi/proto/provider_pb.js";
import type { IResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import Empty from "google-protobuf/google/protobuf/empty_pb.js";
import type { DiffKind } from "../property/diff.ts";
import {
  annotateSecrets,
  containsSecrets,
  containsUnknowns,
  mapValues,
  revealSecrets,
  Secret,
} from "../property/value.ts";
import type { PropertyMap } from "../property/value.ts";
import { toWireValue, type WireOptions } from "../property/wire.ts";
import { providerPackage, urnName, urnType, type Urn } from "../resource/urn.ts";
import { callRequest, constructRequest, dependencyMap } from "./component-messages.ts";
import * as dto from "./provider.ts";
import { fromStruct, hasStatus, providerError, toStruct, unary } from "./rpc.ts";

/** What a provider said that it understands, at its handshake or its configuration. */
interface Protocol {
  readonly secrets: boolean;
  readonly references: boolean;
  readonly outputs: boolean;
  readonly preview: boolean;
}

const plainProtocol: Protocol = { secrets: false, references: false, outputs: false, preview: false };

/** Where a provider finds its engine and its program. */
export interface ProviderEnvironment {
  readonly engineAddress: string;
  readonly rootFolder: string;
  readonly programFolder: string;
}

/** How a provider was connected. */
export interface Connection {
  readonly client: IResourceProviderClient;
  readonly findsByInputs: boolean;
  readonly stop: () => Promise<void>;
}

/**
 * Speaks the gRPC service `ResourceProvider` (`pulumi` `sdk/proto/pulumi/provider.proto`) as the CLI does
 * (`pkg/resource/plugin/provider_plugin.go`): what a provider can't carry is reduced before it is sent and marked
 * again when it comes back.
 */
export class GrpcProvider implements dto.Provider {
  readonly findsByInputs: boolean;
  readonly buildsComponents = true;
  readonly #client: IResourceProviderClient;
  readonly #stop: () => Promise<void>;
  #protocol: Protocol | undefined;
  /** Undefined while unconfigured; false where a configuration value is unknown. */
  #configured: Promise<boolean> | undefined;

  constructor(connection: Connection) {
    this.#client = connection.client;
    this.#stop = connection.stop;
    this.findsByInputs = connection.findsByInputs;
  }

  /** Exchanges capabilities. Providers without a handshake tell them when they are configured. */
  async handshake(environment: ProviderEnvironment): Promise<void> {
    const request = new providerProto.ProviderHandshakeRequest()
      .setEngineAddress(environment.engineAddress)
      .setRootDirectory(environment.rootFolder)
      .setProgramDirectory(environment.programFolder)
      .setConfigureWithUrn(true)
      .setSupportsRefreshBeforeUpdate(true)
      .setInvokeWithPreview(true);
    try {
      const response = await unary<InstanceType<typeof providerProto.ProviderHandshakeResponse>>((done) =>
        this.#client.handshake(request, done),
      );
      this.#protocol = {
        secrets: response.getAcceptSecrets(),
        references: response.getAcceptResources(),
        outputs: response.getAcceptOutputs(),
        preview: true,
      };
    } catch (error) {
      if (!hasStatus(error, codes.UNIMPLEMENTED)) throw providerError(error);
    }
  }

  async checkConfig(urn: Urn, olds: PropertyMap, news: PropertyMap): Promise<dto.CheckResult> {
    const wire: WireOptions = { ...plainWire, unknowns: true };
    const request = new providerProto.CheckRequest()
      .setUrn(urn)
      .setName(urnName(urn))
      .setType(urnType(urn))
      .setOlds(toStruct(olds, wire))
      .setNews(toStruct(news, wire));
    try {
      const response = await unary<CheckAnswer>((done) => this.#client.checkConfig(request, done));
      return checkResult(response, news, true);
    } catch (error) {
      if (hasStatus(error, codes.UNIMPLEMENTED)) return { inputs: news, failures: [] };
      throw providerError(error);
    }
  }

  async diffConfig(request: Omit<dto.DiffRequest, "id" | "preview">): Promise<dto.DiffResult> {
    const wire: WireOptions = { ...plainWire, unknowns: true };
    const message = new providerProto.DiffRequest()
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setOldInputs(toStruct(request.oldInputs, wire))
      .setOlds(toStruct(request.oldOutputs, wire))
      .setNews(toStruct(request.newInputs, wire))
      .setIgnorechangesList([...request.ignoreChanges]);
    try {
      return diffResult(await unary((done) => this.#client.diffConfig(message, done)));
    } catch (error) {
      if (hasStatus(error, codes.UNIMPLEMENTED)) return { ...dto.noDiff, changes: "unknown" };
      throw providerError(error);
    }
  }

  configure(request: dto.ConfigureRequest): void {
    this.#configured = this.#configure(request);
    // The failure shows in the first call that needs the configuration; it must not end the process before.
    this.#configured.catch(() => undefined);
  }

  async #configure(request: dto.ConfigureRequest): Promise<boolean> {
    const entries = Object.entries(request.inputs).filter(([key]) => key !== "version");
    if (entries.some(([, value]) => containsUnknowns(value))) {
      this.#protocol ??= plainProtocol;
      return false;
    }
    const type = urnType(request.urn);
    const message = new providerProto.ConfigureRequest()
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(type)
      .setId(request.id)
      .setAcceptsecrets(true)
      .setAcceptresources(true)
      .setSendsOldInputs(true)
      .setSendsOldInputsToDelete(true)
      .setArgs(toStruct(request.inputs, { secrets: true, references: true, outputs: false, unknowns: true }));
    for (const [key, value] of entries) {
      const plain = toWireValue(revealSecrets(value), plainWire);
      const text = typeof plain === "string" ? plain : JSON.stringify(plain);
      message.getVariablesMap().set(`${providerPackage(type)}:config:${key}`, text);
    }
    try {
      const response = await unary<InstanceType<typeof providerProto.ConfigureResponse>>((done) =>
        this.#client.configure(message, done),
      );
      this.#protocol ??= {
        secrets: response.getAcceptsecrets(),
        references: response.getAcceptresources(),
        outputs: response.getAcceptoutputs(),
        preview: response.getSupportspreview(),
      };
      return true;
    } catch (error) {
      throw providerError(error);
    }
  }

  /** Waits for the configuration. Known is false where a value of it is unknown in this preview. */
  async #ready(): Promise<{ readonly protocol: Protocol; readonly known: boolean }> {
    if (this.#configured === undefined) throw new dto.ProviderError("the provider isn't configured");
    const known = await this.#configured;
    return { protocol: this.#protocol ?? plainProtocol, known };
  }

  async check(request: dto.CheckRequest): Promise<dto.CheckResult> {
    const { protocol, known } = await this.#ready();
    if (!known) return { inputs: request.news, failures: [] };
    const wire = wireFor(protocol, request.preview);
    const message: CheckMessage = new providerProto.CheckRequest()
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setNews(toStruct(request.news, wire))
      .setRandomseed(request.randomSeed);
    if (request.olds !== undefined) message.setOlds(toStruct(request.olds, wire));
    return checkResult(
      await this.#call<CheckAnswer>((done) => this.#client.check(message, done)),
      request.news,
      !protocol.secrets,
    );
  }

  async diff(request: dto.DiffRequest): Promise<dto.DiffResult> {
    const { protocol, known } = await this.#ready();
    if (!known) throw new dto.DiffUnavailableError();
    const wire = wireFor(protocol, request.preview);
    const message = new providerProto.DiffRequest()
      .setId(request.id)
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setOldInputs(toStruct(request.oldInputs, wire))
      .setOlds(toStruct(request.oldOutputs, wire))
      .setNews(toStruct(request.newInputs, wire))
      .setIgnorechangesList([...request.ignoreChanges]);
    return diffResult(await this.#call((done) => this.#client.diff(message, done)));
  }

  async create(request: dto.CreateRequest): Promise<dto.CreateResult> {
    const { protocol, known } = await this.#ready();
    if (request.preview && !known) return { id: "", outputs: {}, refreshBeforeUpdate: false };
    if (request.preview && !protocol.preview) return { id: "", outputs: request.inputs, refreshBeforeUpdate: false };
    const message = new providerProto.CreateRequest()
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setProperties(toStruct(request.inputs, wireFor(protocol, request.preview)))
      .setTimeout(request.timeout)
      .setPreview(request.preview);
    const response = await this.#call<InstanceType<typeof providerProto.CreateResponse>>((done) =>
      this.#client.create(message, done),
    );
    const id = response.getId();
    if (id === "" && !request.preview) throw new dto.ProviderError(`the provider returned no id for ${request.urn}`);
    const outputs = fromStruct(response.getProperties());
    return {
      id,
      outputs: protocol.secrets ? outputs : annotateSecrets(outputs, request.inputs),
      refreshBeforeUpdate: response.getRefreshBeforeUpdate(),
    };
  }

  async read(request: dto.ReadRequest): Promise<dto.ReadResult> {
    const { protocol, known } = await this.#ready();
    if (!known) return { id: "", inputs: {}, outputs: {}, refreshBeforeUpdate: false };
    const wire = wireFor(protocol, false);
    const message = new providerProto.ReadRequest()
      .setId(request.id)
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setProperties(toStruct(request.state, wire))
      .setTimeout(request.timeout);
    if (request.inputs !== undefined) message.setInputs(toStruct(request.inputs, wire));
    const response = await this.#call<InstanceType<typeof providerProto.ReadResponse>>((done) =>
      this.#client.read(message, done),
    );
    const outputs = fromStruct(response.getProperties());
    const inputs = response.hasInputs() ? fromStruct(response.getInputs()) : undefined;
    return {
      id: response.getId(),
      outputs: protocol.secrets ? outputs : annotateSecrets(outputs, request.state),
      inputs: inputs === undefined || protocol.secrets ? inputs : annotateSecrets(inputs, request.inputs ?? {}),
      refreshBeforeUpdate: response.getRefreshBeforeUpdate(),
    };
  }

  async update(request: dto.UpdateRequest): Promise<dto.UpdateResult> {
    const { protocol, known } = await this.#ready();
    if (request.preview && !known) return { outputs: {}, refreshBeforeUpdate: false };
    if (request.preview && !protocol.preview) return { outputs: request.newInputs, refreshBeforeUpdate: false };
    const olds = wireFor(protocol, false);
    const message = new providerProto.UpdateRequest()
      .setId(request.id)
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setOlds(toStruct(request.oldOutputs, olds))
      .setOldInputs(toStruct(request.oldInputs, olds))
      .setNews(toStruct(request.newInputs, wireFor(protocol, request.preview)))
      .setTimeout(request.timeout)
      .setIgnorechangesList([...request.ignoreChanges])
      .setPreview(request.preview);
    const response = await this.#call<InstanceType<typeof providerProto.UpdateResponse>>((done) =>
      this.#client.update(message, done),
    );
    const outputs = fromStruct(response.getProperties());
    return {
      outputs: protocol.secrets ? outputs : annotateSecrets(outputs, request.newInputs),
      refreshBeforeUpdate: response.getRefreshBeforeUpdate(),
    };
  }

  async delete(request: dto.DeleteRequest): Promise<void> {
    const { protocol } = await this.#ready();
    const wire = wireFor(protocol, false);
    const message = new providerProto.DeleteRequest()
      .setId(request.id)
      .setUrn(request.urn)
      .setName(urnName(request.urn))
      .setType(urnType(request.urn))
      .setProperties(toStruct(request.outputs, wire))
      .setOldInputs(toStruct(request.inputs, wire))
      .setTimeout(request.timeout);
    await this.#call<Empty.Empty>((done) => this.#client.delete(message, done));
  }

  async invoke(token: string, args: PropertyMap, preview: boolean): Promise<dto.InvokeResult> {
    const { protocol, known } = await this.#ready();
    if (!known) return { outputs: {}, failures: [] };
    const message = new providerProto.InvokeRequest()
      .setTok(token)
      .setArgs(toStruct(args, wireFor(protocol, false)))
      .setPreview(preview);
    const response = await this.#call<InstanceType<typeof providerProto.InvokeResponse>>((done) =>
      this.#client.invoke(message, done),
    );
    const outputs = fromStruct(response.getReturn());
    const secret = containsSecrets(args) && !protocol.secrets;
    return {
      outputs: secret ? mapValues(outputs, (value) => (value instanceof Secret ? value : new Secret(value))) : outputs,
      failures: failuresOf(response.getFailuresList()),
    };
  }

  async construct(request: dto.ConstructRequest, info: dto.DeploymentInfo): Promise<dto.ConstructResult> {
    const { protocol, known } = await this.#ready();
    if (!known) throw new dto.ProviderError("the component's provider has inputs that are not known during preview");
    const message = constructRequest(request, info, {
      secrets: true,
      references: true,
      outputs: protocol.outputs,
      unknowns: info.preview,
    });
    const response = await this.#call<InstanceType<typeof providerProto.ConstructResponse>>((done) =>
      this.#client.construct(message, done),
    );
    return {
      urn: response.getUrn(),
      outputs: fromStruct(response.getState()),
      outputDependencies: dependencyMap(response.getStatedependenciesMap()),
    };
  }

  async call(request: dto.CallRequest, info: dto.DeploymentInfo): Promise<dto.CallResult> {
    const { protocol, known } = await this.#ready();
    if (!known) return { outputs: {}, outputDependencies: new Map(), failures: [] };
    const message = callRequest(request, info, {
      secrets: true,
      references: true,
      outputs: protocol.outputs,
      unknowns: true,
    });
    const response = await this.#call<InstanceType<typeof providerProto.CallResponse>>((done) =>
      this.#client.call(message, done),
    );
    return {
      outputs: fromStruct(response.getReturn()),
      outputDependencies: dependencyMap(response.getReturndependenciesMap()),
      failures: failuresOf(response.getFailuresList()),
    };
  }

  async cancel(): Promise<void> {
    try {
      await unary<Empty.Empty>((done) => this.#client.cancel(new Empty.Empty(), done));
    } catch (error) {
      if (!hasStatus(error, codes.UNIMPLEMENTED) && !hasStatus(error, codes.UNAVAILABLE)) throw providerError(error);
    }
  }

  close(): Promise<void> {
    return this.#stop();
  }

  async #call<Response>(start: Parameters<typeof unary<Response>>[0]): Promise<Response> {
    try {
      return await unary(start);
    } catch (error) {
      throw providerError(error);
    }
  }
}

const plainWire: WireOptions = { secrets: false, references: false, outputs: false, unknowns: false };

type CheckAnswer = InstanceType<typeof providerProto.CheckResponse>;

function wireFor(protocol: Protocol, unknowns: boolean): WireOptions {
  return { secrets: protocol.secrets, references: protocol.references, outputs: false, unknowns };
}

function failuresOf(failures: readonly { getProperty(): string; getReason(): string }[]): readonly dto.CheckFailure[] {
  return failures.map((failure) => ({ property: failure.getProperty(), reason: failure.getReason() }));
}

function checkResult(response: CheckAnswer, news: PropertyMap, annotate: boolean): dto.CheckResult {
  const inputs = fromStruct(response.getInputs());
  return {
    inputs: annotate ? annotateSecrets(inputs, news) : inputs,
    failures: failuresOf(response.getFailuresList()),
  };
}

const diffKinds: readonly DiffKind[] = ["add", "add-replace", "delete", "delete-replace", "update", "update-replace"];

function diffResult(response: DiffResponse): dto.DiffResult {
  const detailed = [...response.getDetaileddiffMap().entries()].map(
    ([path, diff]) => [path, { kind: diffKinds[diff.getKind()] ?? "update", inputDiff: diff.getInputdiff() }] as const,
  );
  return {
    changes: (["unknown", "none", "some"] as const)[response.getChanges()],
    replaceKeys: response.getReplacesList(),
    stableKeys: response.getStablesList(),
    changedKeys: response.getDiffsList(),
    detailedDiff: response.getHasdetaileddiff() ? new Map(detailed) : undefined,
    deleteBeforeReplace: response.getDeletebeforereplace(),
  };
}
