import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { ProviderError } from "../protocol/errors.ts";
import { isJsonMap } from "../protocol/value.ts";
import type { Json, JsonMap } from "../protocol/value.ts";

/** Vault refused a request. The message names the path and Vault's reasons, never what was sent. */
export class VaultError extends ProviderError {
  readonly status: number;
  constructor(method: string, path: string, status: number, reasons: readonly string[]) {
    const why = reasons.length === 0 ? "" : `: ${reasons.join("; ")}`;
    super(`Vault refused ${method} ${path} with HTTP ${status}${why}`);
    this.status = status;
  }
}

/** How to reach a Vault. */
export interface VaultAddress {
  readonly address: string;
  readonly caFile?: string;
  readonly serverName?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly verification: "on" | "off";
  readonly headers: Readonly<Record<string, string>>;
  /** How often a request is sent again when Vault is sealed, in stand-by or out of reach for a moment. */
  readonly retries: number;
}

/** The HTTP API of one Vault, in one namespace, with one token. */
export class VaultClient {
  readonly #address: VaultAddress;
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #namespace: string;
  #token: string;

  constructor(address: VaultAddress, token: string, namespace: string, agent?: http.Agent) {
    this.#address = address;
    this.#url = new URL(address.address);
    if (!["http:", "https:"].includes(this.#url.protocol)) {
      throw new Error(`Vault's address: expected https://… or http://…, given ${this.#url.protocol}//…`);
    }
    this.#agent = agent ?? agentFor(this.#url, address);
    this.#token = token;
    this.#namespace = namespace.replaceAll(/^\/+|\/+$/g, "");
  }

  /** From now on requests carry this token. */
  use(token: string): void {
    this.#token = token;
  }

  /** @returns a client for a namespace below this one's; the empty text means this one */
  inNamespace(namespace: string): VaultClient {
    if (namespace === "") {
      return this;
    }
    const below = this.#namespace === "" ? namespace : `${this.#namespace}/${namespace}`;
    return new VaultClient(this.#address, this.#token, below, this.#agent);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** @returns the `data` of the answer; an answer without data gives an empty object. @throws VaultError */
  async write(path: string, body: JsonMap, method: "POST" | "PUT" | "PATCH" = "POST"): Promise<JsonMap> {
    return dataOf(await this.request(method, path, body));
  }

  /** @returns the `data` at a path, or undefined if there is none. @throws VaultError */
  async read(path: string): Promise<JsonMap | undefined> {
    try {
      return dataOf(await this.request("GET", path));
    } catch (error) {
      if (error instanceof VaultError && error.status === 404) {
        return undefined;
      }
      throw error;
    }
  }

  /** @returns the `data` of a list; an empty object where there is nothing to list. @throws VaultError */
  async list(path: string): Promise<JsonMap> {
    try {
      return dataOf(await this.request("LIST", path));
    } catch (error) {
      if (error instanceof VaultError && error.status === 404) {
        return {};
      }
      throw error;
    }
  }

  /** Deletes what is at a path; nothing there is no error. */
  async remove(path: string): Promise<void> {
    try {
      await this.request("DELETE", path);
    } catch (error) {
      if (!(error instanceof VaultError && error.status === 404)) {
        throw error;
      }
    }
  }

  /** @returns the whole answer. @throws VaultError when Vault refuses, ProviderError when it gives no answer */
  async request(method: string, path: string, body?: JsonMap): Promise<JsonMap> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#send(method, path, body).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        return new ProviderError(`Vault at ${this.#url.origin} can't be reached: ${reason}`, undefined, {
          cause: error,
        });
      });
      const passing = answer instanceof ProviderError || [412, 472, 473, 503].includes(answer.status);
      if (passing && attempt < this.#address.retries) {
        await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
      } else if (answer instanceof ProviderError) {
        throw answer;
      } else if (answer.status > 299) {
        throw new VaultError(method, path, answer.status, reasonsOf(answer.body));
      } else {
        return isJsonMap(answer.body) ? answer.body : {};
      }
    }
  }

  #send(method: string, path: string, body?: JsonMap): Promise<{ readonly status: number; readonly body: Json }> {
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const prefix = this.#url.pathname.replace(/\/$/, "");
    const [plainPath = "", query = ""] = path.split("?");
    const encoded = plainPath.split("/").map(encodeURIComponent).join("/");
    return new Promise((resolve, reject) => {
      const client = this.#url.protocol === "http:" ? http : https;
      const request = client.request(
        {
          host: this.#url.hostname.replaceAll(/[[\]]/g, ""),
          port: this.#url.port === "" ? (this.#url.protocol === "http:" ? 80 : 443) : this.#url.port,
          path: `${prefix}/v1/${encoded}${query === "" ? "" : `?${query}`}`,
          method,
          agent: this.#agent,
          headers: {
            ...this.#address.headers,
            "x-vault-request": "true",
            ...(this.#token === "" ? {} : { "x-vault-token": this.#token }),
            ...(this.#namespace === "" ? {} : { "x-vault-namespace": this.#namespace }),
            ...(content === undefined ? {} : { "content-type": "application/json", "content-length": content.length }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            resolve({ status: response.statusCode ?? 0, body: parse(Buffer.concat(chunks).toString("utf8")) });
          });
        },
      );
      request.setTimeout(60_000, () => request.destroy(new Error("no answer for 60 s")));
      request.on("error", reject);
      request.end(content);
    });
  }
}

function agentFor(url: URL, address: VaultAddress): http.Agent {
  const kept = { keepAlive: true, maxSockets: 16 };
  if (url.protocol === "http:") {
    return new http.Agent(kept);
  }
  return new https.Agent({
    ...kept,
    rejectUnauthorized: address.verification === "on",
    minVersion: "TLSv1.2",
    ...(address.caFile === undefined ? {} : { ca: readFileSync(address.caFile) }),
    ...(address.serverName === undefined ? {} : { servername: address.serverName }),
    ...(address.certificateFile === undefined ? {} : { cert: readFileSync(address.certificateFile) }),
    ...(address.keyFile === undefined ? {} : { key: readFileSync(address.keyFile) }),
  });
}

function parse(text: string): Json {
  try {
    return text === "" ? null : (JSON.parse(text) as Json);
  } catch {
    // A proxy in between may answer with HTML; the HTTP status then says it all.
    return null;
  }
}

function dataOf(answer: JsonMap): JsonMap {
  const data = answer["data"];
  return isJsonMap(data) ? data : {};
}

function reasonsOf(body: Json): readonly string[] {
  const errors = isJsonMap(body) ? body["errors"] : undefined;
  return Array.isArray(errors) ? errors.filter((error): error is string => typeof error === "string") : [];
}
