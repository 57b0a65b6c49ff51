import * as grpc from "@grpc/grpc-js";
import emptypb from "google-protobuf/google/protobuf/empty_pb.js";
import pluginpb from "@pulumi/pulumi/proto/plugin_pb.js";
import providerpb from "@pulumi/pulumi/proto/provider_pb.js";
import type * as pb from "@pulumi/pulumi/proto/provider_pb.js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { withEncodedStructs } from "../../grpc/service.ts";
import { NeedsPulumiCli, toServiceError } from "./errors.ts";
import { RemoteLog } from "./log.ts";
import type {
  CheckFailure,
  CheckRequest,
  ConstructRequest,
  DiffRequest,
  DiffResult,
  ProviderFactory,
  ResourceProvider,
  ResourceRequest,
} from "./provider.ts";
import { decodeProperties, encodeProperties } from "./struct.ts";
import { parseUrn } from "./urn.ts";

/** A provider that listens on the loopback address. */
export interface Serving {
  readonly port: number;
  /** Ends running calls' waits, then the server. */
  stop(): Promise<void>;
}

/** A provider whose handlers of the gRPC service are called within the process. */
export interface ProviderHandlers {
  readonly handlers: IResourceProviderServer;
  /** Ends running calls' waits. */
  stop(): Promise<void>;
}

/** The largest message: Pulumi's own limit, 400 MiB. */
const maxMessage = 400 * 1024 * 1024;

/** Gives a provider to an engine in the same process, which tells its address in the handshake. */
export function within(create: ProviderFactory): ProviderHandlers {
  const log = new RemoteLog(undefined);
  const provider = create(log);
  return {
    handlers: handlers(provider, log),
    async stop(): Promise<void> {
      await provider.cancel();
      log.close();
    },
  };
}

/**
 * Puts a provider behind the gRPC service `pulumirpc.ResourceProvider` on a free loopback port.
 * @param engineAddress where the engine takes log lines; the handshake may give it too
 */
export async function serve(create: ProviderFactory, engineAddress?: string): Promise<Serving> {
  const log = new RemoteLog(engineAddress);
  const provider = create(log);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxMessage,
    "grpc.max_send_message_length": maxMessage,
  });
  server.addService(withEncodedStructs(ResourceProviderService), handlers(provider, log));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) {
        resolve(bound);
      } else {
        reject(error);
      }
    });
  });
  return {
    port,
    async stop(): Promise<void> {
      await provider.cancel();
      log.close();
      server.forceShutdown();
    },
  };
}

function handlers(provider: ResourceProvider, log: RemoteLog): IResourceProviderServer {
  return {
    handshake: unary((request: pb.ProviderHandshakeRequest) => {
      log.connect(request.getEngineAddress());
      const response = new providerpb.ProviderHandshakeResponse();
      response.setAcceptSecrets(true);
      response.setSupportsAutonamingConfiguration(true);
      return response;
    }),
    getPluginInfo: unary(() => {
      const info = new pluginpb.PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),
    attach: unary((request: { getAddress(): string }) => {
      log.connect(request.getAddress());
      return new emptypb.Empty();
    }),
    checkConfig: unary(async (request: pb.CheckRequest) =>
      checkResponse(await provider.checkConfig(checkRequest(request))),
    ),
    diffConfig: unary(async (request: pb.DiffRequest) => diffResponse(await provider.diffConfig(diffRequest(request)))),
    configure: unary(async (request: pb.ConfigureRequest) => {
      await provider.configure(decodeProperties(request.getArgs()));
      const response = new providerpb.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      response.setSupportsAutonamingConfiguration(true);
      return response;
    }),
    check: unary(async (request: pb.CheckRequest) => checkResponse(await provider.check(checkRequest(request)))),
    diff: unary(async (request: pb.DiffRequest) => diffResponse(await provider.diff(diffRequest(request)))),
    create: unary(async (request: pb.CreateRequest) => {
      const { id, properties } = await provider.create({
        ...resourceRequest(request),
        inputs: decodeProperties(request.getProperties()),
        preview: request.getPreview(),
        timeout: request.getTimeout(),
      });
      const response = new providerpb.CreateResponse();
      response.setId(id);
      response.setProperties(encodeProperties(properties));
      return response;
    }),
    update: unary(async (request: pb.UpdateRequest) => {
      const properties = await provider.update({
        ...resourceRequest(request),
        id: request.getId(),
        olds: decodeProperties(request.getOlds()),
        oldInputs: decodeProperties(request.getOldInputs()),
        inputs: decodeProperties(request.getNews()),
        ignoreChanges: request.getIgnorechangesList(),
        preview: request.getPreview(),
        timeout: request.getTimeout(),
      });
      const response = new providerpb.UpdateResponse();
      response.setProperties(encodeProperties(properties));
      return response;
    }),
    read: unary(async (request: pb.ReadRequest) => {
      const live = await provider.read({
        ...resourceRequest(request),
        id: request.getId(),
        properties: decodeProperties(request.getProperties()),
        inputs: decodeProperties(request.getInputs()),
      });
      const response = new providerpb.ReadResponse();
      if (live !== undefined) {
        response.setId(live.id);
        response.setProperties(encodeProperties(live.properties));
        response.setInputs(encodeProperties(live.inputs));
      }
      return response;
    }),
    delete: unary(async (request: pb.DeleteRequest) => {
      await provider.delete({
        ...resourceRequest(request),
        id: request.getId(),
        properties: decodeProperties(request.getProperties()),
        oldInputs: decodeProperties(request.getOldInputs()),
        timeout: request.getTimeout(),
      });
      return new emptypb.Empty();
    }),
    invoke: unary(async (request: pb.InvokeRequest) => {
      const { result, failures } = await provider.invoke(request.getTok(), decodeProperties(request.getArgs()));
      const response = new providerpb.InvokeResponse();
      response.setReturn(encodeProperties(result));
      response.setFailuresList(failureList(failures));
      return response;
    }),
    construct: unary(async (request: pb.ConstructRequest) => {
      const { urn, state } = await provider.construct(constructRequest(request));
      const response = new providerpb.ConstructResponse();
      response.setUrn(urn);
      response.setState(encodeProperties(state));
      return response;
    }),
    cancel: unary(async () => {
      await provider.cancel();
      return new emptypb.Empty();
    }),
    getSchema: refuse(`the schema of package ${provider.name}`),
    call: refuse(`a method of package ${provider.name}`),
    parameterize: refuse(`a parameterized package on ${provider.name}`),
    getMapping: refuse(`a mapping of package ${provider.name}`),
    getMappings: refuse(`the mappings of package ${provider.name}`),
    list: (call) => {
      call.emit("error", toServiceError(new NeedsPulumiCli(`listing resources of package ${provider.name}`)));
    },
  };
}

function unary<Request, Response>(
  handle: (request: Request) => Promise<Response> | Response,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve(call.request)
      .then(handle)
      .then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          callback(toServiceError(error));
        },
      );
  };
}

function refuse(what: string): grpc.handleUnaryCall<unknown, never> {
  return unary(() => {
    throw new NeedsPulumiCli(what);
  });
}

function resourceRequest(request: { getUrn(): string; getType(): string; getName(): string }): ResourceRequest {
  const urn = request.getUrn();
  const [type, name] = [request.getType(), request.getName()];
  return type === "" || name === "" ? { urn, ...parseUrn(urn) } : { urn, type, name };
}

function checkRequest(request: pb.CheckRequest): CheckRequest {
  const autonaming = request.getAutonaming();
  const modes = ["propose", "enforce", "disable"] as const;
  return {
    ...resourceRequest(request),
    olds: decodeProperties(request.getOlds()),
    news: decodeProperties(request.getNews()),
    randomSeed: request.getRandomseed_asU8(),
    ...(autonaming === undefined
      ? {}
      : {
          autonaming: {
            proposedName: autonaming.getProposedName(),
            mode: modes[autonaming.getMode()],
          },
        }),
  };
}

function checkResponse(result: {
  readonly inputs: CheckRequest["news"];
  readonly failures?: readonly CheckFailure[];
}): pb.CheckResponse {
  const response = new providerpb.CheckResponse();
  response.setInputs(encodeProperties(result.inputs));
  response.setFailuresList(failureList(result.failures));
  return response;
}

function failureList(failures: readonly CheckFailure[] = []): pb.CheckFailure[] {
  return failures.map(({ property, reason }) => {
    const failure = new providerpb.CheckFailure();
    failure.setProperty(property);
    failure.setReason(reason);
    return failure;
  });
}

function diffRequest(request: pb.DiffRequest): DiffRequest {
  return {
    ...resourceRequest(request),
    id: request.getId(),
    olds: decodeProperties(request.getOlds()),
    oldInputs: decodeProperties(request.getOldInputs()),
    news: decodeProperties(request.getNews()),
    ignoreChanges: request.getIgnorechangesList(),
  };
}

function diffResponse(result: DiffResult): pb.DiffResponse {
  const { ADD, ADD_REPLACE, DELETE, DELETE_REPLACE, UPDATE, UPDATE_REPLACE } = providerpb.PropertyDiff.Kind;
  const kinds = {
    add: ADD,
    "add-replace": ADD_REPLACE,
    delete: DELETE,
    "delete-replace": DELETE_REPLACE,
    update: UPDATE,
    "update-replace": UPDATE_REPLACE,
  } as const;
  const { DIFF_NONE, DIFF_SOME } = providerpb.DiffResponse.DiffChanges;
  const response = new providerpb.DiffResponse();
  response.setChanges(result.changes === "none" ? DIFF_NONE : DIFF_SOME);
  response.setHasdetaileddiff(true);
  response.setDeletebeforereplace(result.deleteBeforeReplace);
  response.setReplacesList([...(result.replaces ?? [])]);
  for (const [path, { change, inputDiff }] of result.detailed) {
    const property = new providerpb.PropertyDiff();
    property.setKind(kinds[change]);
    property.setInputdiff(inputDiff);
    response.getDetaileddiffMap().set(path, property);
    response.addDiffs(path);
    if (change.endsWith("replace")) {
      response.addReplaces(path);
    }
  }
  return response;
}

function constructRequest(request: pb.ConstructRequest): ConstructRequest {
  return {
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent(),
    inputs: decodeProperties(request.getInputs()),
    monitorAddress: request.getMonitorendpoint(),
    dryRun: request.getDryrun(),
    providers: new Map(request.getProvidersMap().getEntryList()),
    dependencies: request.getDependenciesList(),
    inputDependencies: new Map(
      request
        .getInputdependenciesMap()
        .getEntryList()
        .map(([key]) => [key, request.getInputdependenciesMap().get(key)?.getUrnsList() ?? []]),
    ),
    protect: request.hasProtect() ? request.getProtect() : undefined,
    retainOnDelete: request.hasRetainondelete() ? request.getRetainondelete() : undefined,
    deletedWith: request.getDeletedwith(),
    aliases: request.getAliasesList(),
  };
}
