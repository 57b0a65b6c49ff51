import type { Json, JsonMap } from "../../protocol/value.ts";
import { isJsonMap } from "../../protocol/value.ts";
import { Connection } from "./connection.ts";
import { Discovery } from "./discovery.ts";
import type { ApiResource } from "./discovery.ts";
import { ApiError } from "./errors.ts";
import type { ActiveContext } from "./kubeconfig.ts";
import { kindOf, nameOf, namespaceOf, textAt, withAt } from "./object.ts";
import type { ObjectKind } from "./object.ts";
import { Watches } from "./watches.ts";

/** How an object is applied. */
export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes fields over that other managers own. */
  readonly force: boolean;
  /** Nothing is stored; the answer is what would be. */
  readonly dryRun: boolean;
  readonly onWarning?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** The objects of one cluster. */
export class Client {
  readonly discovery: Discovery;
  readonly watches: Watches;
  readonly #connection: Connection;

  constructor(context: ActiveContext) {
    this.#connection = new Connection(context);
    this.discovery = new Discovery(this.#connection);
    this.watches = new Watches(this.#connection);
  }

  /** Ends watches and connections. */
  close(): void {
    this.watches.close();
    this.#connection.close();
  }

  /** @returns the server's version, for instance `v1.35.4` */
  async version(): Promise<string> {
    return textAt(await this.#connection.json({ method: "GET", path: "/version" }), "gitVersion");
  }

  /** @returns the live object, or undefined if there is none. @throws ApiError on every other refusal */
  async get(kind: ObjectKind, namespace: string, name: string): Promise<JsonMap | undefined> {
    const resource = await this.discovery.get(kind);
    try {
      return asObject(await this.#connection.json({ method: "GET", path: pathOf(resource, namespace, name) }));
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) {
        return undefined;
      }
      throw error;
    }
  }

  /** @returns the objects of a kind in a namespace that a selector matches */
  async list(
    kind: ObjectKind,
    namespace: string,
    query: Readonly<Record<string, string>>,
  ): Promise<readonly JsonMap[]> {
    const resource = await this.discovery.get(kind);
    const path = `${pathOf(resource, namespace)}?${new URLSearchParams(query).toString()}`;
    const answer = asObject(await this.#connection.json({ method: "GET", path }));
    const items = answer["items"];
    return Array.isArray(items) ? (items as readonly Json[]).filter(isJsonMap) : [];
  }

  /**
   * Creates an object whose fields then belong to a manager.
   * @throws ApiError with the reason `AlreadyExists` if there is one of this name
   */
  async create(
    object: JsonMap,
    options: Pick<ApplyOptions, "fieldManager" | "onWarning" | "signal">,
  ): Promise<JsonMap> {
    const resource = await this.discovery.get(kindOf(object));
    const query = new URLSearchParams({ fieldManager: options.fieldManager, fieldValidation: "Strict" });
    const answer = await this.#connection.json({
      method: "POST",
      path: `${pathOf(resource, namespaceOf(object))}?${query.toString()}`,
      body: resource.namespaced ? object : withAt(object, ["metadata", "namespace"], undefined),
      ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return asObject(answer);
  }

  /** Server-side apply: creates the object, or changes the fields of this manager. */
  async apply(object: JsonMap, options: ApplyOptions): Promise<JsonMap> {
    const resource = await this.discovery.get(kindOf(object));
    const query = new URLSearchParams({
      fieldManager: options.fieldManager,
      force: String(options.force),
      fieldValidation: "Strict",
      ...(options.dryRun ? { dryRun: "All" } : {}),
    });
    const body = resource.namespaced ? object : withAt(object, ["metadata", "namespace"], undefined);
    const answer = await this.#connection.json({
      method: "PATCH",
      path: `${pathOf(resource, namespaceOf(object), nameOf(object))}?${query.toString()}`,
      // JSON is YAML: the server takes it under this type.
      contentType: "application/apply-patch+yaml",
      body,
      ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return asObject(answer);
  }

  /** Applies a JSON patch (RFC 6902), for the book-keeping of field managers. */
  async jsonPatch(object: JsonMap, patch: readonly Json[]): Promise<JsonMap> {
    const resource = await this.discovery.get(kindOf(object));
    const path = pathOf(resource, namespaceOf(object), nameOf(object));
    const contentType = "application/json-patch+json";
    return asObject(await this.#connection.json({ method: "PATCH", path, contentType, body: patch }));
  }

  /** Asks for deletion. @returns the server's answer, or undefined if there was nothing to delete */
  async delete(kind: ObjectKind, namespace: string, name: string, options: JsonMap): Promise<Json | undefined> {
    const resource = await this.discovery.get(kind);
    const body = { apiVersion: "v1", kind: "DeleteOptions", ...options };
    try {
      return await this.#connection.json({ method: "DELETE", path: pathOf(resource, namespace, name), body });
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) {
        return undefined;
      }
      throw error;
    }
  }

  /** @returns the path under which the objects of a kind are listed and watched */
  async collection(kind: ObjectKind, namespace: string): Promise<string> {
    return pathOf(await this.discovery.get(kind), namespace);
  }
}

/** @returns the path of one object, or of the collection without a name */
function pathOf(resource: ApiResource, namespace: string, name?: string): string {
  const scope = resource.namespaced && namespace !== "" ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const collection = `${resource.prefix}${scope}/${resource.plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

function asObject(answer: Json): JsonMap {
  if (!isJsonMap(answer)) {
    throw new Error("the Kubernetes API server answered with something that is no object");
  }
  return answer;
}
