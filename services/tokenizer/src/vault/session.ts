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
  readonly timeout?: number;
}

/** A token that an agent keeps in a file, or the pod's own account by Kubernetes authentication. */
export type VaultLogin =
  | { readonly kind: "token-file"; readonly path: string }
  | { readonly kind: "kubernetes"; readonly mount: string; readonly role: string; readonly jwtPath: string };

interface Session {
  readonly token: string;
  /** When to log in again, by performance.now(). */
  readonly renewAt: number;
}

const attempts = 2;
const tokenFileLife = 10_000;

/**
 * One login to Vault and what is asked with it. All failures are KeysUnavailable; their messages hold status and step,
 * never a body or a token.
 */
export class VaultSession {
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

  /**
   * @param what names the question in errors
   * @param path below `/v1`
   * @param body sent with POST; without one it is a GET
   * @returns the field `data` of the answer
   */
  async ask(what: string, path: string, body?: object): Promise<object> {
    for (let attempt = 1; ; attempt++) {
      const { status, data } = await this.#send(path, body, await this.#token(), attempt);
      if (data !== undefined && status === 200) return data;
      // A token may have been revoked, or its policy changed: a fresh one decides.
      if (status === 403) this.#session = undefined;
      const again = status === 403 || status === 429 || status >= 500 || status === 0;
      if (!again || attempt === attempts)
        throw new KeysUnavailable(`the key service answered ${what} with status ${status}`);
    }
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  /** @returns status 0 if no answer came and another attempt may help */
  async #send(
    path: string,
    body: object | undefined,
    token: string | undefined,
    attempt: number,
  ): Promise<{ status: number; data?: object }> {
    try {
      const answer = await request(`${this.#options.address.replace(/\/$/, "")}/v1/${path}`, {
        method: body === undefined ? "GET" : "POST",
        dispatcher: this.#agent,
        headersTimeout: this.#timeout,
        bodyTimeout: this.#timeout,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          "x-vault-request": "true",
          ...(token === undefined ? {} : { "x-vault-token": token }),
          ...(this.#options.namespace === undefined ? {} : { "x-vault-namespace": this.#options.namespace }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
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
