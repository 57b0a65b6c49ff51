import {
  Metadata,
  Server,
  ServerCredentials,
  status as codes,
  type sendUnaryData,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import pluginProto from "@pulumi/pulumi/proto/plugin_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";
import anyProto from "google-protobuf/google/protobuf/any_pb.js";
import Empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb.js";
import type { ProviderWithin } from "@tokenshield/engine";
import { buildBox } from "./build.ts";
import type { Json, JsonMap, RecorderCloud } from "./cloud.ts";

const { DiffChanges } = providerProto.DiffResponse;
const { Kind } = providerProto.PropertyDiff;
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const signature = "4dabf18193072939515e22adb298388d";

/** A recorder that serves. */
export interface ServedRecorder {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/**
 * A provider for an engine in the same process that records every call and does what its resources' inputs say:
 *
 * - `fixed*` can only be changed by replacement, `dbr` deletes first, `detailed` answers with a detailed diff,
 *   `vague` with an unknown one
 * - `refuse` fails the check; `failCreate`, `failUpdate`, `failDelete`, `failRead` fail the call; `failInit` leaves the
 *   object, but not ready
 * - `failFirst` is how many times each of creation, update and deletion fails before it succeeds
 * - `name` is made up where it is absent; `delay` milliseconds are waited
 * - outputs are the inputs and `result`, which is known only after an update
 *
 * A read with an empty id finds the object that has the `name` of the inputs. The type `Box` is a component, built in
 * `build.ts`.
 */
export function recorderWithin(cloud: RecorderCloud): ProviderWithin {
  return { handlers: service(cloud), stop: () => Promise.resolve() };
}

/** Serves the recorder on a loopback port, as a plugin does. See {@link recorderWithin} for what it does. */
export async function serveRecorder(cloud: RecorderCloud): Promise<ServedRecorder> {
  const server = new Server();
  server.addService(providerGrpc.ResourceProviderService, service(cloud));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    stop: () => {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
}

class CallError extends Error {
  readonly metadata: Metadata | undefined;
  constructor(message: string, metadata?: Metadata) {
    super(message);
    this.metadata = metadata;
  }
}

function handle<Request, Response>(answer: (request: Request) => Response | Promise<Response>) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    Promise.resolve()
      .then(() => answer(call.request))
      .then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          const metadata = error instanceof CallError ? error.metadata : undefined;
          callback({ code: codes.UNKNOWN, details: message, ...(metadata === undefined ? {} : { metadata }) });
        },
      );
  };
}

const json = (message: Struct | undefined): JsonMap => message?.toJavaScript() ?? {};
const toStruct = (map: JsonMap): Struct => struct.Struct.fromJavaScript(map);

const secret = { [signature]: "1b47061264138c4ac30d75fd1eb44270" };

function isSecret(value: Json): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value) && signature in value;
}

/** The value within a secret. */
function reveal(value: Json): Json {
  return isSecret(value) ? (value["value"] ?? null) : value;
}

/** Fails as often as the inputs say, counted for each operation on each resource. */
function failFirst(cloud: RecorderCloud, operation: string, urn: string, inputs: JsonMap): void {
  const times = inputs["failFirst"];
  if (typeof times !== "number" || times === 0) return;
  const attempt = cloud.next(`${operation} ${urn}`);
  if (attempt <= times) throw new CallError(`attempt ${attempt} of this ${operation} fails`);
}

function isUnknown(value: Json): boolean {
  return reveal(value) === unknown;
}

function outputsOf(inputs: JsonMap, result: Json): JsonMap {
  return { ...inputs, result };
}

function initFailure(id: string, inputs: JsonMap, outputs: JsonMap): CallError {
  const detail = new providerProto.ErrorResourceInitFailed()
    .setId(id)
    .setProperties(toStruct(outputs))
    .setInputs(toStruct(inputs))
    .setReasonsList(["it isn't ready"]);
  const any = new anyProto.Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new statusProto.Status().setCode(codes.UNKNOWN).setMessage("it isn't ready");
  status.setDetailsList([any]);
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return new CallError("it isn't ready", metadata);
}

function diffKind(old: Json | undefined, fresh: Json | undefined, effect: "replace" | "update") {
  const replaces = effect === "replace";
  if (old === undefined) return replaces ? Kind.ADD_REPLACE : Kind.ADD;
  if (fresh === undefined) return replaces ? Kind.DELETE_REPLACE : Kind.DELETE;
  return replaces ? Kind.UPDATE_REPLACE : Kind.UPDATE;
}

function service(cloud: RecorderCloud): providerGrpc.IResourceProviderServer {
  const refuse = () => Promise.reject(new CallError("not implemented"));
  return {
    handshake: handle(() =>
      new providerProto.ProviderHandshakeResponse().setAcceptSecrets(true).setAcceptResources(true),
    ),
    parameterize: handle(refuse),
    getSchema: handle(() => new providerProto.GetSchemaResponse().setSchema("{}")),
    checkConfig: handle((request) => {
      cloud.record("checkConfig", {
        urn: request.getUrn(),
        olds: json(request.getOlds()),
        news: json(request.getNews()),
      });
      return new providerProto.CheckResponse().setInputs(request.getNews());
    }),
    diffConfig: handle((request) => {
      const [olds, news] = [json(request.getOldInputs()), json(request.getNews())];
      cloud.record("diffConfig", { urn: request.getUrn(), oldInputs: olds, olds: json(request.getOlds()), news });
      const changed = [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter(
        (key) => JSON.stringify(olds[key]) !== JSON.stringify(news[key]),
      );
      return new providerProto.DiffResponse()
        .setChanges(changed.length === 0 ? DiffChanges.DIFF_NONE : DiffChanges.DIFF_SOME)
        .setDiffsList(changed)
        .setReplacesList(changed.filter((key) => key.startsWith("fixed")));
    }),
    configure: handle((request) => {
      cloud.record("configure", { urn: request.getUrn() ?? "", args: json(request.getArgs()) });
      return new providerProto.ConfigureResponse()
        .setAcceptsecrets(true)
        .setAcceptresources(true)
        .setSupportspreview(true);
    }),
    invoke: handle((request) => {
      const args = json(request.getArgs());
      cloud.record("invoke", { urn: "", token: request.getTok(), args });
      if (args["fail"] === true) throw new CallError("the function fails");
      return new providerProto.InvokeResponse().setReturn(toStruct({ ...args, answer: "answered" }));
    }),
    call: handle((request) => {
      const args = json(request.getArgs());
      cloud.record("call", { urn: "", token: request.getTok(), args });
      const answer = { ...args, answer: "answered" };
      return new providerProto.CallResponse().setReturn(
        toStruct({ answer: isSecret(args["question"] ?? null) ? { ...secret, value: answer.answer } : answer.answer }),
      );
    }),
    check: handle((request) => {
      const [olds, news] = [json(request.getOlds()), json(request.getNews())];
      cloud.record("check", { urn: request.getUrn(), olds, news });
      const inputs: JsonMap = { ...news };
      if (inputs["name"] === undefined) {
        inputs["name"] = olds["name"] ?? `${request.getName()}-${cloud.next(`name ${request.getUrn()}`)}`;
      }
      const response = new providerProto.CheckResponse().setInputs(toStruct(inputs));
      if (inputs["refuse"] === true) {
        response.addFailures(new providerProto.CheckFailure().setProperty("refuse").setReason("it is refused"));
      }
      return response;
    }),
    diff: handle((request) => {
      const [olds, news] = [json(request.getOldInputs()), json(request.getNews())];
      cloud.record("diff", {
        urn: request.getUrn(),
        id: request.getId(),
        oldInputs: olds,
        olds: json(request.getOlds()),
        news,
        ignoreChanges: request.getIgnorechangesList(),
      });
      if (news["vague"] === true) return new providerProto.DiffResponse();
      const changed = [...new Set([...Object.keys(olds), ...Object.keys(news)])]
        .filter((key) => JSON.stringify(olds[key]) !== JSON.stringify(news[key]))
        .sort();
      const replaces = changed.filter(
        (key) => key.startsWith("fixed") || (key === "name" && olds["name"] !== undefined),
      );
      const response = new providerProto.DiffResponse()
        .setChanges(changed.length === 0 ? DiffChanges.DIFF_NONE : DiffChanges.DIFF_SOME)
        .setDiffsList(changed)
        .setReplacesList(replaces)
        .setDeletebeforereplace(news["dbr"] === true && replaces.length > 0);
      if (news["detailed"] === true) {
        response.setHasdetaileddiff(true);
        for (const key of changed) {
          const detail = new providerProto.PropertyDiff()
            .setKind(diffKind(olds[key], news[key], replaces.includes(key) ? "replace" : "update"))
            .setInputdiff(true);
          response.getDetaileddiffMap().set(key, detail);
        }
      }
      return response;
    }),
    create: handle(async (request) => {
      const inputs = json(request.getProperties());
      const preview = request.getPreview();
      cloud.record("create", { urn: request.getUrn(), properties: inputs, preview, timeout: request.getTimeout() });
      if (preview) return new providerProto.CreateResponse().setProperties(toStruct(outputsOf(inputs, unknown)));
      if (typeof inputs["delay"] === "number")
        await new Promise((resolve) => setTimeout(resolve, Number(inputs["delay"])));
      failFirst(cloud, "create", request.getUrn(), inputs);
      if (inputs["failCreate"] === true) throw new CallError("the creation fails");
      const id = `${request.getName()}-id-${cloud.next(`id ${request.getName()}`)}`;
      const outputs = outputsOf(inputs, `made ${id}`);
      cloud.create({ id, type: request.getType(), properties: outputs });
      if (inputs["failInit"] === true) throw initFailure(id, inputs, outputs);
      return new providerProto.CreateResponse().setId(id).setProperties(toStruct(outputs));
    }),
    read: handle((request) => {
      const inputs = json(request.getInputs());
      cloud.record("read", {
        urn: request.getUrn(),
        id: request.getId(),
        properties: json(request.getProperties()),
        inputs,
        hasInputs: request.hasInputs(),
      });
      if (inputs["failRead"] === true) throw new CallError("the read fails");
      const object =
        request.getId() === ""
          ? cloud
              .objects()
              .find(({ type, properties }) => type === request.getType() && properties["name"] === inputs["name"])
          : cloud.find(request.getId());
      if (object === undefined) return new providerProto.ReadResponse();
      const own = Object.fromEntries(Object.entries(object.properties).filter(([key]) => key !== "result"));
      return new providerProto.ReadResponse()
        .setId(object.id)
        .setProperties(toStruct(object.properties))
        .setInputs(toStruct(own));
    }),
    list: (call) => {
      call.end();
    },
    update: handle((request) => {
      const news = json(request.getNews());
      const preview = request.getPreview();
      cloud.record("update", {
        urn: request.getUrn(),
        id: request.getId(),
        oldInputs: json(request.getOldInputs()),
        olds: json(request.getOlds()),
        news,
        preview,
        timeout: request.getTimeout(),
        ignoreChanges: request.getIgnorechangesList(),
      });
      const waits = Object.values(news).some(isUnknown);
      const outputs = outputsOf(news, preview && waits ? unknown : `updated ${request.getId()}`);
      if (preview) return new providerProto.UpdateResponse().setProperties(toStruct(outputs));
      failFirst(cloud, "update", request.getUrn(), news);
      if (news["failUpdate"] === true) throw new CallError("the update fails");
      cloud.replace({ id: request.getId(), type: request.getType(), properties: outputs });
      if (news["failInit"] === true) throw initFailure(request.getId(), news, outputs);
      return new providerProto.UpdateResponse().setProperties(toStruct(outputs));
    }),
    delete: handle((request) => {
      cloud.record("delete", {
        urn: request.getUrn(),
        id: request.getId(),
        properties: json(request.getProperties()),
        oldInputs: json(request.getOldInputs()),
        timeout: request.getTimeout(),
      });
      failFirst(cloud, "delete", request.getUrn(), json(request.getOldInputs()));
      if (json(request.getOldInputs())["failDelete"] === true) throw new CallError("the deletion fails");
      cloud.remove(request.getId());
      return new Empty.Empty();
    }),
    construct: handle(async (request) => {
      const inputs = json(request.getInputs());
      cloud.record("construct", { urn: "", name: request.getName(), type: request.getType(), inputs });
      if (inputs["failConstruct"] === true) throw new CallError("the component can't be built");
      return buildBox(request);
    }),
    cancel: handle(() => new Empty.Empty()),
    getPluginInfo: handle(() => new pluginProto.PluginInfo().setVersion("1.0.0")),
    attach: handle(() => new Empty.Empty()),
    getMapping: handle(() => new providerProto.GetMappingResponse()),
    getMappings: handle(() => new providerProto.GetMappingsResponse()),
  };
}
