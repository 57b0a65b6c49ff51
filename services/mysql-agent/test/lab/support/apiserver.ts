import { createServer, type Server } from "node:https";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

interface Meta {
  name: string;
  resourceVersion?: string;
  labels?: Record<string, string | null>;
  annotations?: Record<string, string>;
}
interface Thing {
  metadata: Meta;
  spec?: unknown;
}

/** Leases and pods in memory, with the API server's rules for versions and conflicts; nothing else of it. */
export class ApiServer {
  readonly #server: Server;
  readonly #things = { leases: new Map<string, Thing>(), pods: new Map<string, Thing>() };
  #version = 0;
  /** While set, every call is cut off. */
  unreachable = false;

  constructor(tls: { readonly key: string; readonly cert: string }, pods: readonly string[]) {
    for (const name of pods) this.#things.pods.set(name, { metadata: { name, resourceVersion: "0", labels: {} } });
    this.#server = createServer(tls, (request, response) => {
      if (this.unreachable) {
        request.socket.destroy();
        return;
      }
      void read(request).then((body) => {
        const [status, answer] = this.#answer(request.method ?? "GET", new URL(request.url ?? "/", "https://x"), body);
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** @returns names of the pods that carry this role */
  withRole(role: "primary" | "secondary"): readonly string[] {
    return [...this.#things.pods.values()]
      .filter(({ metadata }) => metadata.labels?.["tokenization.io/mysql-role"] === role)
      .map(({ metadata }) => metadata.name);
  }

  lease(name: string): Thing | undefined {
    return this.#things.leases.get(name);
  }

  #answer(method: string, url: URL, body: Thing | undefined): readonly [number, unknown] {
    const [, kind, name] = /\/namespaces\/[^/]+\/(leases|pods)(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    if (kind !== "leases" && kind !== "pods") return [404, {}];
    const things = this.#things[kind];
    if (name === undefined && method === "GET") {
      const [key = "", value] = (url.searchParams.get("labelSelector") ?? "").split("=");
      return [200, { items: [...things.values()].filter(({ metadata }) => metadata.labels?.[key] === value) }];
    }
    if (method === "POST" && body !== undefined) {
      return things.has(body.metadata.name) ? [409, {}] : [201, this.#store(things, body)];
    }
    const present = things.get(name ?? "");
    if (present === undefined) return [404, {}];
    if (method === "PUT" && body !== undefined) {
      if (body.metadata.resourceVersion !== present.metadata.resourceVersion) return [409, {}];
      return [200, this.#store(things, body)];
    }
    if (method === "PATCH" && body !== undefined) {
      const labels = { ...present.metadata.labels, ...body.metadata.labels };
      for (const [key, value] of Object.entries(labels)) if (value === null) Reflect.deleteProperty(labels, key);
      return [200, this.#store(things, { ...present, metadata: { ...present.metadata, labels } })];
    }
    return [200, present];
  }

  #store(things: Map<string, Thing>, thing: Thing): Thing {
    this.#version += 1;
    const stored = { ...thing, metadata: { ...thing.metadata, resourceVersion: `${this.#version}` } };
    things.set(thing.metadata.name, stored);
    return stored;
  }
}

async function read(request: IncomingMessage): Promise<Thing | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? undefined : (JSON.parse(text) as Thing);
}
