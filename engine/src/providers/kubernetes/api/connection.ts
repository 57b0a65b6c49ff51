import http from "node:http";
import https from "node:https";
import type { User } from "@kubernetes/client-node/dist/config_types.js";
import { ExecAuth } from "@kubernetes/client-node/dist/exec_auth.js";
import { FileAuth } from "@kubernetes/client-node/dist/file_auth.js";
import { material } from "./kubeconfig.ts";
import type { ActiveContext } from "./kubeconfig.ts";
import { ApiError, Unreachable } from "./errors.ts";
import type { Json } from "../../protocol/value.ts";

/** A request to the API server. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** Path with query. */
  readonly path: string;
  readonly body?: Json;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Is told the texts of the server's `Warning` headers. */
  readonly onWarning?: (text: string) => void;
}

/** Each request ends after this many milliseconds without a byte, watches excepted. */
const idleLimit = 60_000;

/** HTTP to one API server, with the credentials of one user, over kept connections. */
export class Connection {
  readonly server: string;
  readonly #user: User | undefined;
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #authenticators = [new ExecAuth(), new FileAuth()];
  readonly #tls: https.RequestOptions;

  constructor(context: ActiveContext) {
    const { cluster, user, folder } = context;
    if (cluster.proxyUrl !== undefined) {
      throw new Error("kubeconfig: a cluster with proxy-url needs the Pulumi CLI");
    }
    this.server = cluster.server;
    this.#url = new URL(cluster.server);
    this.#user = user;
    const [ca, cert, key] = [
      material(cluster.caData, cluster.caFile, folder),
      material(user?.certData, user?.certFile, folder),
      material(user?.keyData, user?.keyFile, folder),
    ];
    this.#tls = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(cluster.tlsServerName === undefined ? {} : { servername: cluster.tlsServerName }),
      rejectUnauthorized: !cluster.skipTLSVerify,
      minVersion: "TLSv1.2",
    };
    const options = { keepAlive: true, maxSockets: 64, maxFreeSockets: 16 };
    this.#agent = this.#url.protocol === "http:" ? new http.Agent(options) : new https.Agent(options);
  }

  /** Closes the kept connections. */
  close(): void {
    this.#agent.destroy();
  }

  /**
   * Sends a request and reads the whole JSON answer.
   * @throws ApiError when the server refuses, Unreachable when there is no answer
   */
  async json(request: ApiRequest): Promise<Json> {
    const response = await this.send(request, idleLimit);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) {
        chunks.push(chunk as Buffer);
      }
    } catch (error) {
      throw new Unreachable(this.server, error);
    }
    const text = Buffer.concat(chunks).toString("utf8");
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) {
      throw ApiError.of(status, text, `${request.method} ${request.path.split("?")[0] ?? ""}`);
    }
    return JSON.parse(text) as Json;
  }

  /** Sends a request; the caller reads the answer. @param idle milliseconds without a byte, 0 for no limit */
  async send(request: ApiRequest, idle: number): Promise<http.IncomingMessage> {
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const options = await this.#options(request, body);
    return new Promise((resolve, reject) => {
      const client = this.#url.protocol === "http:" ? http : https;
      const outgoing = client.request(options, (response) => {
        for (const warning of warnings(response.headers["warning"])) {
          request.onWarning?.(warning);
        }
        resolve(response);
      });
      outgoing.setTimeout(idle, () => {
        outgoing.destroy(new Error(`no answer for ${idle / 1000} s`));
      });
      outgoing.on("error", (error) => {
        reject(request.signal?.aborted === true ? error : new Unreachable(this.server, error));
      });
      outgoing.end(body);
    });
  }

  async #options(request: ApiRequest, body: Buffer | undefined): Promise<https.RequestOptions> {
    const headers: http.OutgoingHttpHeaders = {
      accept: request.accept ?? "application/json",
      // Node sends the body of a DELETE without any length unless it is told.
      ...(body === undefined
        ? {}
        : { "content-type": request.contentType ?? "application/json", "content-length": body.length }),
    };
    const user = this.#user;
    if (user?.token !== undefined) {
      headers["authorization"] = `Bearer ${user.token}`;
    } else if (user?.username !== undefined) {
      headers["authorization"] = `Basic ${Buffer.from(`${user.username}:${user.password ?? ""}`).toString("base64")}`;
    }
    if (user?.impersonateUser !== undefined) {
      headers["impersonate-user"] = user.impersonateUser;
    }
    const options: https.RequestOptions = {
      ...this.#tls,
      host: this.#url.hostname.replace(/^\[|\]$/g, ""),
      port: this.#url.port === "" ? (this.#url.protocol === "http:" ? 80 : 443) : this.#url.port,
      path: this.#url.pathname.replace(/\/$/, "") + request.path,
      method: request.method,
      agent: this.#agent,
      headers,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    await this.#authenticate(options);
    return options;
  }

  async #authenticate(options: https.RequestOptions): Promise<void> {
    const user = this.#user;
    const needsPlugin = user?.exec !== undefined || user?.authProvider !== undefined;
    if (user === undefined || !needsPlugin) {
      return;
    }
    const authenticator = this.#authenticators.find((candidate) => candidate.isAuthProvider(user));
    if (authenticator === undefined) {
      throw new Error(`kubeconfig: the auth-provider of user "${user.name}" needs the Pulumi CLI`);
    }
    await authenticator.applyAuthentication(user, options);
  }
}

/** Texts of a `Warning` header (RFC 7234 §5.5), which Kubernetes writes as `299 - "text"`. */
function warnings(header: string | undefined): string[] {
  return [...(header ?? "").matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) =>
    text.replaceAll(/\\(.)/g, "$1"),
  );
}
