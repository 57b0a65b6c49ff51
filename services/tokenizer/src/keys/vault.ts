import { readFile } from "node:fs/promises";
import { Agent, request } from "undici";
import { KeysUnavailable } from "../core/errors.ts";

/** Where Vault is and how this service logs in. Times are milliseconds. */
export interface VaultOptions {
  readonly address: string;
  /** Certificate authority of Vault's server, PEM; the system's if undefined. */
  readonly ca?: string | undefined;
  readonly namespace?: string | undefined;
  readonly login: VaultLogin;
  readonly transitMount: string;
  readonly transitKey: string;
  readonly timeout?: number;
}

/** A token that an agent keeps in a file, or the pod's own account by Kubernetes authentication. */
export type VaultLogin =
  | { readonly kind: "token-file"; readonly path: string }
  | { readonly kind: "kubernetes"; readonly mount: string; readonly role: string; readonly jwtPath: string };

/** A data key: in clear for memory only, and wrapped for the database. */
export interface DataKey {
  readonly key: Buffer;
  readonly wrapped: string;
  readonly kekVersion: number;
}

/** The key service: makes data keys, opens wrapped ones, wraps them under the newest version of the key-encryption key. */
export interface KeyService {
  create(): Promise<DataKey>;
  unwrap(wrapped: string): Promise<Buffer>;
  /** The same data key under the newest version of the key-encryption key; nothing is opened on this side. */
  rewrap(wrapped: string): Promise<{ readonly wrapped: string; readonly kekVersion: number }>;
  close(): Promise<void>;
}

interface Session {
  readonly token: string;
  /** When to log in again, by performance.now(). */
  readonly renewAt: number;
}

const attempts = 2;
const tokenFileLife = 10_000;

/** The version of the key-encryption key in `vault:v7:…`. */
export function wrappedVersion(wrapped: string): number {
  const version = /^vault:v([1-9]\d{0,9}):/.exec(wrapped)?.[1];
  if (version === undefined) throw new KeysUnavailable("the key service gave a ciphertext of another form");
  return Number(version);
}

/** Vault's Transit engine. All failures are KeysUnavailable; their messages hold status and step, never a body or a token. */
export class VaultTransit implements KeyService {
  readonly #options: VaultOptions;
  readonly #agent: Agent;
  readonly #timeout: number;
  #session: Session | undefined;

  constructor(options: VaultOptions) {
    this.#options = options;
    this.#timeout = options.timeout ?? 3000;
    const connect = { timeout: this.#timeout, ...(options.ca === undefined ? {} : { ca: options.ca }) };
    this.#agent = new Agent({ connect, connections: 4, keepAliveTimeout: 30_000, maxResponseSize: 1_048_576 });
  }

  async create(): Promise<DataKey> {
    const data = await this.#transit("datakey/plaintext", { bits: 256 });
    const key = Buffer.from(field(data, "plaintext"), "base64");
    const wrapped = field(data, "ciphertext");
    if (key.length !== 32) throw new KeysUnavailable("the key service gave a data key of another length");
    return { key, wrapped, kekVersion: wrappedVersion(wrapped) };
  }

  async unwrap(wrapped: string): Promise<Buffer> {
    const key = Buffer.from(field(await this.#transit("decrypt", { ciphertext: wrapped }), "plaintext"), "base64");
    if (key.length !== 32) throw new KeysUnavailable("a wrapped data key has another length");
    return key;
  }

  async rewrap(wrapped: string): Promise<{ wrapped: string; kekVersion: number }> {
    const ciphertext = field(await this.#transit("rewrap", { ciphertext: wrapped }), "ciphertext");
    return { wrapped: ciphertext, kekVersion: wrappedVersion(ciphertext) };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #transit(operation: string, body: object): Promise<object> {
    const path = `${this.#options.transitMount}/${operation}/${encodeURIComponent(this.#options.transitKey)}`;
    for (let attempt = 1; ; attempt++) {
      const { status, data } = await this.#send(path, body, await this.#token(), attempt);
      if (data !== undefined && status === 200) return data;
      // A token may have been revoked, or its policy changed: a fresh one decides.
      if (status === 403) this.#session = undefined;
      const again = status === 403 || status === 429 || status >= 500 || status === 0;
      if (!again || attempt === attempts)
        throw new KeysUnavailable(`the key service answered ${operation} with status ${status}`);
    }
  }

  /** @returns status 0 if no answer came and another attempt may help */
  async #send(
    path: string,
    body: object,
    token: string | undefined,
    attempt: number,
  ): Promise<{ status: number; data?: object }> {
    try {
      const answer = await request(`${this.#options.address.replace(/\/$/, "")}/v1/${path}`, {
        method: "POST",
        dispatcher: this.#agent,
        headersTimeout: this.#timeout,
        bodyTimeout: this.#timeout,
        headers: {
          "content-type": "application/json",
          "x-vault-request": "true",
          ...(token === undefined ? {} : { "x-vault-token": token }),
          ...(this.#options.namespace === undefined ? {} : { "x-vault-namespace": this.#options.namespace }),
        },
        body: JSON.stringify(body),
      });
      if (answer.statusCode !== 200) {
        await answer.body.dump();
        return { status: answer.statusCode };
      }
      const content = (await answer.body.json()) as { data?: object | null; auth?: object | null };
      const data = content.data ?? content.auth;
      return data === null || data === undefined ? { status: 502 } : { status: 200, data };
    } catch (error) {
      if (attempt < attempts) return { status: 0 };
      throw new KeysUnavailable("the key service cannot be reached", error);
    }
  }

  async #token(): Promise<string> {
    if (this.#session !== undefined && performance.now() < this.#session.renewAt) return this.#session.token;
    this.#session = await this.#login(this.#options.login);
    return this.#session.token;
  }

  async #login(login: VaultLogin): Promise<Session> {
    if (login.kind === "token-file") {
      return { token: await this.#file(login.path), renewAt: performance.now() + tokenFileLife };
    }
    const jwt = await this.#file(login.jwtPath);
    const { status, data } = await this.#send(
      `auth/${login.mount}/login`,
      { role: login.role, jwt },
      undefined,
      attempts,
    );
    if (data === undefined) throw new KeysUnavailable(`the key service refused the login with status ${status}`);
    const { client_token: token, lease_duration: seconds } = data as {
      client_token?: unknown;
      lease_duration?: unknown;
    };
    if (typeof token !== "string") throw new KeysUnavailable("the key service's login gave no token");
    const life = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : 60_000;
    return { token, renewAt: performance.now() + life * 0.7 };
  }

  async #file(path: string): Promise<string> {
    try {
      return (await readFile(path, "utf8")).trim();
    } catch (error) {
      throw new KeysUnavailable("the credential for the key service cannot be read", error);
    }
  }
}

function field(data: object, name: string): string {
  const value = (data as Record<string, unknown>)[name];
  if (typeof value !== "string") throw new KeysUnavailable(`the key service's answer has no ${name}`);
  return value;
}
