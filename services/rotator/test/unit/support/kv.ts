import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

interface Stored {
  readonly version: number;
  /** Absent where the newest version was deleted. */
  readonly data: Record<string, unknown> | undefined;
}

/** Vault's KV version 2 with compare-and-set, and its login by Kubernetes, on loopback; nothing else of it. */
export class KvServer {
  readonly #server: Server;
  readonly secrets = new Map<string, Stored>();
  /** Tokens that are good. */
  readonly tokens = new Set<string>();
  readonly logins: { readonly role: string; readonly jwt: string }[] = [];
  /** While set, everything is answered with it. */
  status: number | undefined;

  constructor() {
    this.#server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const [status, answer] = this.#answer(request, body);
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  put(path: string, data: Record<string, unknown>): void {
    this.secrets.set(path, { version: (this.secrets.get(path)?.version ?? 0) + 1, data });
  }

  get(path: string): Record<string, unknown> | undefined {
    return this.secrets.get(path)?.data;
  }

  #answer(request: IncomingMessage, body: Record<string, unknown>): readonly [number, unknown] {
    if (this.status !== undefined) return [this.status, { errors: ["no"] }];
    const path = (request.url ?? "").replace("/v1/", "");
    if (path === "auth/kubernetes/login") {
      this.logins.push(body as { role: string; jwt: string });
      const token = `token-${this.logins.length}`;
      this.tokens.add(token);
      return [200, { auth: { client_token: token } }];
    }
    if (!this.tokens.has(String(request.headers["x-vault-token"]))) return [403, { errors: ["permission denied"] }];
    const name = path.replace("kv/data/", "");
    const stored = this.secrets.get(name);
    if (request.method === "POST") return this.#write(name, stored?.version ?? 0, body);
    if (stored === undefined) return [404, { errors: [] }];
    const { data = null, version } = stored;
    return [data === null ? 404 : 200, { data: { data, metadata: { version } } }];
  }

  #write(name: string, version: number, body: Record<string, unknown>): readonly [number, unknown] {
    const { cas } = body["options"] as { cas: number };
    if (cas !== version) {
      return [400, { errors: ["check-and-set parameter did not match the current version"] }];
    }
    this.put(name, body["data"] as Record<string, unknown>);
    return [200, { data: { version: version + 1 } }];
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}
