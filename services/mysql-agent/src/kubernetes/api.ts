import { Agent as Connections, request } from "undici";
import { said } from "@tokenshield/mysql";
import { AgentError } from "../errors.ts";

export interface ApiOptions {
  /** Such as https://10.0.0.1:443 */
  readonly server: string;
  readonly ca: string;
  /** Read anew for each call: the kubelet renews it. */
  readonly token: () => string;
  /** Milliseconds for one call. */
  readonly timeout: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** The few calls of the Kubernetes API that the agent makes, over verified TLS. */
export class KubernetesApi {
  readonly #options: ApiOptions;
  readonly #connections: Connections;

  /** @throws AgentError `SETTINGS` if the server's address is not https */
  constructor(options: ApiOptions) {
    if (!options.server.startsWith("https://"))
      throw new AgentError("SETTINGS", `API server ${options.server}: expected an https:// address`);
    this.#options = options;
    this.#connections = new Connections({ connect: { ca: options.ca, timeout: options.timeout }, connections: 2 });
  }

  /**
   * @param accepted statuses beside 2xx that the caller handles
   * @throws AgentError `API_STATUS` for any other status, or where there is no answer in time
   */
  async call(
    method: "GET" | "POST" | "PUT" | "PATCH",
    path: string,
    body?: unknown,
    accepted: readonly number[] = [],
  ): Promise<ApiAnswer> {
    const { server, timeout, token } = this.#options;
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    try {
      const answer = await request(`${server}${path}`, {
        method,
        dispatcher: this.#connections,
        signal: AbortSignal.timeout(timeout),
        headers: { authorization: `Bearer ${token()}`, accept: "application/json", "content-type": type },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const content = await answer.body.text();
      const { statusCode: status } = answer;
      if (accepted.includes(status)) return { status, body: undefined };
      if (status < 200 || status > 299) throw new AgentError("API_STATUS", `${method} ${path} answers ${status}`);
      return { status, body: JSON.parse(content) as unknown };
    } catch (error) {
      if (error instanceof AgentError) throw error;
      throw new AgentError("API_STATUS", `${method} ${path}: no good answer from the API server: ${said(error)}`, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    await this.#connections.destroy();
  }
}
