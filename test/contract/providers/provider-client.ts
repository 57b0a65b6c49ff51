import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import providerpb from "@pulumi/pulumi/proto/provider_pb.js";
import type * as pb from "@pulumi/pulumi/proto/provider_pb.js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import statuspb from "@pulumi/pulumi/proto/status_pb.js";
import { decodeProperties, encodeProperties } from "../../../engine/src/providers/protocol/struct.ts";
import type { PropertyMap } from "../../../engine/src/providers/protocol/value.ts";

/** Seconds after which an update or a deletion that waits says what it waits for; a test would hang on it. */
const patience = 60;

/** A resource as an engine keeps it. */
export interface Resource {
  readonly urn: string;
  readonly id: string;
  readonly inputs: PropertyMap;
  readonly properties: PropertyMap;
}

/** A resource provider behind gRPC, called as an engine calls it. */
export class ProviderClient {
  readonly #client: ResourceProviderClient;

  constructor(port: number) {
    this.#client = new ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  }

  close(): void {
    this.#client.close();
  }

  async configure(inputs: PropertyMap): Promise<pb.ConfigureResponse> {
    const request = new providerpb.ConfigureRequest();
    request.setArgs(encodeProperties(inputs));
    request.setAcceptsecrets(true);
    return this.#call("configure", request);
  }

  async check(urn: string, news: PropertyMap, olds: PropertyMap = {}): Promise<pb.CheckResponse> {
    const request = new providerpb.CheckRequest();
    request.setUrn(urn);
    request.setNews(encodeProperties(news));
    request.setOlds(encodeProperties(olds));
    request.setRandomseed(Buffer.from(urn));
    return this.#call("check", request);
  }

  /** Checks inputs and creates the resource; at preview nothing changes. */
  async create(
    urn: string,
    inputs: PropertyMap,
    preview: "preview" | "update" = "update",
    timeout = 0,
  ): Promise<Resource> {
    const checked = await this.check(urn, inputs);
    const request = new providerpb.CreateRequest();
    request.setUrn(urn);
    request.setProperties(checked.getInputs());
    request.setPreview(preview === "preview");
    request.setTimeout(timeout);
    const response = await this.#call<pb.CreateResponse>("create", request);
    return {
      urn,
      id: response.getId(),
      inputs: decodeProperties(checked.getInputs()),
      properties: decodeProperties(response.getProperties()),
    };
  }

  async diff({ urn, id, properties: olds, inputs }: Resource, news: PropertyMap): Promise<pb.DiffResponse> {
    const request = new providerpb.DiffRequest();
    request.setOldInputs(encodeProperties(inputs));
    request.setUrn(urn);
    request.setId(id);
    request.setOlds(encodeProperties(olds));
    request.setNews(encodeProperties(news));
    return this.#call("diff", request);
  }

  async update(resource: Resource, news: PropertyMap, ignoreChanges: readonly string[] = []): Promise<Resource> {
    const checked = await this.check(resource.urn, news, resource.inputs);
    const request = new providerpb.UpdateRequest();
    request.setUrn(resource.urn);
    request.setId(resource.id);
    request.setOlds(encodeProperties(resource.properties));
    request.setOldInputs(encodeProperties(resource.inputs));
    request.setNews(checked.getInputs());
    request.setIgnorechangesList([...ignoreChanges]);
    request.setTimeout(patience);
    const response = await this.#call<pb.UpdateResponse>("update", request);
    const inputs = decodeProperties(checked.getInputs());
    return { ...resource, inputs, properties: decodeProperties(response.getProperties()) };
  }

  /** Looks for what a create with these inputs left when it was cut off. @returns its id, or undefined */
  async find(urn: string, inputs: PropertyMap): Promise<string | undefined> {
    return (await this.read({ urn, id: "", inputs, properties: {} }))?.id;
  }

  /** @returns the resource as it is now, or undefined if it is gone */
  async read(resource: Resource): Promise<Resource | undefined> {
    const request = new providerpb.ReadRequest();
    request.setUrn(resource.urn);
    request.setId(resource.id);
    request.setProperties(encodeProperties(resource.properties));
    request.setInputs(encodeProperties(resource.inputs));
    const response = await this.#call<pb.ReadResponse>("read", request);
    return response.getId() === ""
      ? undefined
      : {
          urn: resource.urn,
          id: response.getId(),
          inputs: decodeProperties(response.getInputs()),
          properties: decodeProperties(response.getProperties()),
        };
  }

  async delete(resource: Resource): Promise<void> {
    const request = new providerpb.DeleteRequest();
    request.setUrn(resource.urn);
    request.setId(resource.id);
    request.setProperties(encodeProperties(resource.properties));
    request.setOldInputs(encodeProperties(resource.inputs));
    request.setTimeout(patience);
    await this.#call("delete", request);
  }

  /** @returns each changed path with the kind of its change, for instance `data.key UPDATE`, of checked new inputs */
  async changes(resource: Resource, news: PropertyMap): Promise<readonly string[]> {
    const checked = await this.check(resource.urn, news, resource.inputs);
    const diff = await this.diff(resource, decodeProperties(checked.getInputs()));
    const kinds = Object.entries(providerpb.PropertyDiff.Kind);
    const changes: string[] = [];
    diff.getDetaileddiffMap().forEach((change, path) => {
      changes.push(`${path} ${kinds.find(([, kind]) => kind === change.getKind())?.[0] ?? ""}`);
    });
    return [...changes.sort(), ...(diff.getDeletebeforereplace() ? ["delete before replace"] : [])];
  }

  /** Asks for a component whose children go to a resource monitor. @returns its URN and outputs */
  async construct(
    type: string,
    name: string,
    inputs: PropertyMap,
    monitorAddress: string,
  ): Promise<{ readonly urn: string; readonly state: PropertyMap }> {
    const request = new providerpb.ConstructRequest();
    request.setType(type);
    request.setName(name);
    request.setInputs(encodeProperties(inputs));
    request.setMonitorendpoint(monitorAddress);
    request.getProvidersMap().set("kubernetes", "urn:provider::id");
    const response = await this.#call<pb.ConstructResponse>("construct", request);
    return { urn: response.getUrn(), state: decodeProperties(response.getState()) };
  }

  async invoke(token: string, inputs: PropertyMap): Promise<PropertyMap> {
    const request = new providerpb.InvokeRequest();
    request.setTok(token);
    request.setArgs(encodeProperties(inputs));
    const response = await this.#call<pb.InvokeResponse>("invoke", request);
    return decodeProperties(response.getReturn());
  }

  async #call<Response>(method: string, request: unknown): Promise<Response> {
    const methods = this.#client as unknown as Record<
      string,
      (request: unknown, callback: (error: grpc.ServiceError | null, response: Response) => void) => void
    >;
    const call = methods[method];
    if (call === undefined) {
      throw new Error(`the service has no method ${method}`);
    }
    return promisify(call.bind(this.#client))(request);
  }
}

/** What the engine keeps of a resource that exists but did not become ready, from the error's details. */
export function initializationFailure(error: grpc.ServiceError): {
  readonly id: string;
  readonly reasons: readonly string[];
  readonly properties: PropertyMap;
} {
  const [status] = error.metadata.get("grpc-status-details-bin");
  const [detail] = statuspb.Status.deserializeBinary(status as Uint8Array).getDetailsList();
  const failed = providerpb.ErrorResourceInitFailed.deserializeBinary(detail?.getValue_asU8() ?? new Uint8Array());
  return {
    id: failed.getId(),
    reasons: failed.getReasonsList(),
    properties: decodeProperties(failed.getProperties()),
  };
}
