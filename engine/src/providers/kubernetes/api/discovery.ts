import type { Json } from "../../protocol/value.ts";
import type { Connection } from "./connection.ts";
import { ApiError } from "./errors.ts";
import { apiVersionOf, objectsAt, textAt } from "./object.ts";
import type { ObjectKind } from "./object.ts";

/** Where the objects of a kind are. */
export interface ApiResource {
  /** For instance `/apis/apps/v1`. */
  readonly prefix: string;
  /** Plural name, for instance `deployments`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/** A kind that was missing a moment ago is not looked for again before this many milliseconds. */
const patience = 200;

/**
 * What the server serves, read in two requests (aggregated discovery, Kubernetes 1.30 and later) and kept. A kind that
 * is missing is looked for again, since a CRD may have come in between.
 */
export class Discovery {
  readonly #connection: Connection;
  #reading: Promise<ReadonlyMap<string, ApiResource>> | undefined;
  #readAt = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Forgets what was read: after a CRD came or went. */
  reset(): void {
    this.#reading = undefined;
  }

  /** @returns where the objects of a kind are, or undefined if the server doesn't serve the kind */
  async find(kind: ObjectKind): Promise<ApiResource | undefined> {
    const known = (await this.#known()).get(keyOf(kind));
    if (known !== undefined || performance.now() - this.#readAt < patience) {
      return known;
    }
    this.reset();
    return (await this.#known()).get(keyOf(kind));
  }

  /** @throws ApiError with the reason `NoMatch` for a kind that the server doesn't serve */
  async get(kind: ObjectKind): Promise<ApiResource> {
    const found = await this.find(kind);
    if (found === undefined) {
      throw ApiError.noMatch(apiVersionOf(kind), kind.kind);
    }
    return found;
  }

  /** @returns what charts see as `.Capabilities.APIVersions`: `apps/v1`, `apps/v1/Deployment`, … */
  async apiVersions(): Promise<readonly string[]> {
    const kinds = [...(await this.#known()).keys()].map((key) => key.replace(/^\//, ""));
    return [...new Set(kinds.flatMap((key) => [key.replace(/\/[^/]+$/, ""), key]))];
  }

  #known(): Promise<ReadonlyMap<string, ApiResource>> {
    const reading = this.#reading ?? this.#read();
    this.#reading = reading;
    reading.catch(() => {
      // A failed reading is told to those who wait for it, and tried again by the next.
      if (this.#reading === reading) {
        this.#reading = undefined;
      }
    });
    return reading;
  }

  async #read(): Promise<ReadonlyMap<string, ApiResource>> {
    this.#readAt = performance.now();
    const [core, groups] = await Promise.all([this.#list("/api"), this.#list("/apis")]);
    return new Map([...resourcesOf(core), ...resourcesOf(groups)]);
  }

  async #list(path: string): Promise<Json> {
    const answer = await this.#connection.json({ method: "GET", path, accept: aggregated });
    if (textAt(answer, "kind") !== "APIGroupDiscoveryList") {
      throw new Error("the Kubernetes cluster must serve aggregated discovery (version 1.30 or later)");
    }
    return answer;
  }
}

function keyOf({ group, version, kind }: ObjectKind): string {
  return `${group}/${version}/${kind}`;
}

function* resourcesOf(answer: Json): Generator<[string, ApiResource]> {
  for (const item of objectsAt(answer, "items")) {
    const group = textAt(item, "metadata", "name");
    for (const served of objectsAt(item, "versions")) {
      const version = textAt(served, "version");
      for (const resource of objectsAt(served, "resources")) {
        const kind = textAt(resource, "responseKind", "kind");
        const key = keyOf({ group, version, kind });
        yield [
          key,
          {
            prefix: group === "" ? `/api/${version}` : `/apis/${group}/${version}`,
            plural: textAt(resource, "resource"),
            namespaced: textAt(resource, "scope") === "Namespaced",
          },
        ];
      }
    }
  }
}
