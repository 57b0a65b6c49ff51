import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions as TlsServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type Dispatcher, Pool } from "undici";
import { Refusal } from "../core/errors.ts";
import { farewell } from "../core/farewell.ts";
import { mayCall, peerSubject } from "../core/peers.ts";
import type { Caller, Log, Meters, Outcome, Span, Tracing } from "../core/ports.ts";
import {
  asRefusal,
  ByteBudget,
  type HeldBody,
  type Message,
  printablePath,
  readBody,
  type Revealing,
  type Tokenizing,
} from "../flow/index.ts";
import { clientAddress, endToEnd, requestHeaders, revealKeyHeader, type Sender } from "./headers.ts";
import { isRevealRoute, type RevealAuthority, type RevealRoute } from "./routes.ts";

/** Times are milliseconds. */
export interface HttpPlaneOptions {
  readonly host: string;
  readonly port: number;
  /** Certificate, key and authorities of the listener; undefined only on loopback. */
  readonly tls?: TlsServerOptions | undefined;
  /** Names of the certificates that may call; none means every one of the authority. */
  readonly peers?: readonly string[] | undefined;
  /** The one application: scheme, host and port; a path is put in front of every target. */
  readonly application: string;
  /** Authority of the application's certificate, PEM; the system's if undefined. */
  readonly applicationCa?: string | undefined;
  readonly maxBodyBytes: number;
  readonly maxInFlight: number;
  /** Bytes of all bodies that are held at a time. */
  readonly maxHeldBytes?: number;
  readonly applicationTimeout?: number;
  readonly requestTimeout?: number;
  readonly isTrustedProxy: (address: string) => boolean;
  readonly revealRoutes?: readonly RevealRoute[];
}

export interface HttpPlaneParts {
  readonly tokenizing: Tokenizing;
  readonly revealing: Revealing;
  readonly authority: RevealAuthority;
  readonly meters: Meters;
  readonly log: Log;
  /** Undefined where there are no traces. */
  readonly tracing?: Tracing | undefined;
}

/** The operations of this plane, for the metrics. */
export const httpOperations: readonly string[] = ["forward"];

/** What becomes of one request. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly sender: Sender;
  readonly caller: Caller;
  readonly span: Span | undefined;
}

/**
 * The proxy in front of the application (port 8080): card numbers become tokens in everything that a request has, or the request
 * is refused and nothing of it is forwarded. Responses pass as they come, except on routes that are set, for callers with the
 * right to reveal.
 */
export class HttpPlane {
  readonly #options: HttpPlaneOptions;
  readonly #parts: HttpPlaneParts;
  readonly #server: Server;
  readonly #application: Pool;
  readonly #prefix: string;
  readonly #peers: readonly string[];
  readonly #budget: ByteBudget;
  readonly #sockets = new Set<Socket>();
  #inFlight = 0;
  /** Answers say that their connection ends. */
  #leaving = false;
  #stopping = false;

  constructor(options: HttpPlaneOptions, parts: HttpPlaneParts) {
    this.#options = options;
    this.#parts = parts;
    this.#peers = options.peers ?? [];
    const application = new URL(options.application);
    this.#prefix = application.pathname.replace(/\/$/, "");
    this.#budget = new ByteBudget(options.maxHeldBytes ?? 268_435_456);
    const timeout = options.applicationTimeout ?? 30_000;
    this.#application = new Pool(application.origin, {
      connections: Math.max(8, Math.min(256, options.maxInFlight)),
      pipelining: 1,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      connect: { timeout: 5000, ...(options.applicationCa === undefined ? {} : { ca: options.applicationCa }) },
    });
    const handler = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    const limits = { maxHeaderSize: 32_768, insecureHTTPParser: false, requireHostHeader: true, highWaterMark: 65_536 };
    this.#server =
      options.tls === undefined
        ? createServer(limits, handler)
        : createTlsServer({ ...limits, ...options.tls }, handler);
    // Before the server itself takes the connection up.
    this.#server.prependListener("secureConnection", (socket: Socket) => {
      if (mayCall(socket, this.#peers)) return;
      parts.log.warn({ subject: peerSubject(socket) }, "a peer that may not call this port was sent away");
      socket.destroy();
    });
    this.#server.headersTimeout = 15_000;
    this.#server.requestTimeout = options.requestTimeout ?? 60_000;
    // Longer than the proxy in front keeps idle connections, so that it and not this side ends them.
    this.#server.keepAliveTimeout = 75_000;
    // Longer than the application may take, so that a slow answer isn't cut.
    this.#server.setTimeout(timeout + 90_000);
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("clientError", (_error, socket) => {
      parts.meters.refused("parse");
      if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      else socket.destroy();
    });
  }

  /** Begins to listen. @returns the port, which is another one than the option's if that is 0 */
  start(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.off("error", reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Takes over a renewed certificate for new connections; open ones stay. */
  useCertificate(tls: TlsServerOptions): void {
    if ("setSecureContext" in this.#server)
      (this.#server as Server & { setSecureContext(tls: TlsServerOptions): void }).setSecureContext(tls);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Stops listening, lets running requests end within `limit` milliseconds, then closes what is left. Callers that keep
   * their connections are told first that these end: one that is closed under a request loses it (RFC 9112, 9.6).
   */
  async stop(limit: number): Promise<void> {
    this.#leaving = true;
    await farewell(() => this.#sockets.size, limit);
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, limit);
    await closed;
    clearTimeout(timer);
    await this.#application.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // What a connection that was sent away had sent already is nobody's request.
    if (!mayCall(request.socket, this.#peers)) return;
    const started = performance.now();
    let outcome: Outcome = "ok";
    let span: Span | undefined;
    this.#inFlight++;
    if (this.#leaving) response.shouldKeepAlive = false;
    try {
      if (this.#inFlight > this.#options.maxInFlight) {
        throw new Refusal("size", 503, "too many requests at the same time", 1);
      }
      const exchange = this.#exchange(request, response);
      span = exchange.span;
      outcome = await this.#forward(exchange);
    } catch (error) {
      outcome = this.#fail(request, response, error);
    } finally {
      this.#inFlight--;
      // A connection that stays open would hold up the stop.
      if (this.#stopping) request.socket.end();
      this.#parts.meters.request("http", "forward", outcome, (performance.now() - started) / 1000);
      span?.end(outcome);
    }
  }

  #exchange(request: IncomingMessage, response: ServerResponse): Exchange {
    const peer = (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    // Who may call by name is the proxy in front, whatever its address.
    const isTrustedProxy = (address: string): boolean =>
      this.#options.isTrustedProxy(address) || (this.#peers.length > 0 && address === peer);
    const forwardedFor = request.headers["x-forwarded-for"];
    const address = clientAddress(
      peer,
      Array.isArray(forwardedFor) ? forwardedFor.join(",") : forwardedFor,
      isTrustedProxy,
    );
    const sender: Sender = {
      peer,
      trusted: isTrustedProxy(peer) ? "trusted" : "unknown",
      protocol: "encrypted" in request.socket ? "https" : "http",
    };
    const actor = peerSubject(request.socket);
    const { traceparent, tracestate } = request.headers;
    const span = this.#parts.tracing?.begin("forward", oneOf(traceparent), oneOf(tracestate));
    const caller: Caller = { source: "http", actor, sourceIp: address, destination: "" };
    return { request, response, sender, caller, span };
  }

  async #forward(exchange: Exchange): Promise<Outcome> {
    const { request, response, sender, caller, span } = exchange;
    const target = originForm(request.url ?? "");
    if (request.method === "TRACE" || request.method === "CONNECT")
      throw new Refusal("policy", 405, "this method is not forwarded");
    const held = await this.#body(request);
    try {
      const headers = endToEnd(request.rawHeaders);
      const message: Message = { target, headers, body: held.bytes };
      const host = request.headers.host ?? "";
      const changed = await inStep(span?.step("tokenize"), () =>
        this.#parts.tokenizing.apply(message, () => ({
          ...caller,
          // The path may hold a card number, and the activity list must not.
          destination: `${host}${printablePath(target)}`,
        })),
      );
      const hasBody = held.bytes.length > 0 || request.headers["content-length"] !== undefined;
      const options = {
        method: request.method as Dispatcher.HttpMethod,
        path: `${this.#prefix}${changed.target ?? target}`,
        headers: traced(requestHeaders(changed.headers, sender, hasBody ? changed.body.length : undefined), span),
        body: changed.body.length === 0 ? null : changed.body,
        responseHeaders: "raw",
      } as const;
      const actor = await this.#revealsTo(request, target);
      if (actor === undefined) {
        await this.#application.stream({ ...options, opaque: undefined }, ({ statusCode, headers: answered }) => {
          held.release();
          return response.writeHead(statusCode, endToEnd(rawHeaders(answered)));
        });
      } else {
        const sent = await this.#application.request(options);
        held.release();
        await this.#reveal({ ...exchange, caller: { ...caller, actor } }, target, sent);
      }
      return changed === message ? "unchanged" : "ok";
    } catch (error) {
      if (response.headersSent) response.destroy();
      throw error;
    } finally {
      held.release();
    }
  }

  #body(request: IncomingMessage): Promise<HeldBody> {
    const length = request.headers["content-length"];
    const announced =
      length === undefined ? (request.headers["transfer-encoding"] === undefined ? 0 : undefined) : Number(length);
    return readBody(request, announced, this.#options.maxBodyBytes, this.#budget);
  }

  /** Hands the application's answer back with card numbers in the place of tokens. */
  async #reveal(exchange: Exchange, target: string, sent: Dispatcher.ResponseData): Promise<void> {
    const { request, response } = exchange;
    const headers = endToEnd(rawHeaders(sent.headers));
    const held = await readBody(sent.body, undefined, this.#options.maxBodyBytes, this.#budget);
    try {
      const destination = `${request.headers.host ?? ""}${printablePath(target)}`;
      const caller: Caller = { ...exchange.caller, destination };
      const message: Message = { target: undefined, headers, body: held.bytes };
      const { revealing } = this.#parts;
      const shown = await revealing.apply(message, caller, `route ${destination}`, "leave", () => undefined);
      const own = endToEnd(shown.headers, new Set(shown === message ? ["content-length"] : ["cache-control"]));
      if (shown !== message) own.push("Cache-Control", "no-store");
      response.writeHead(sent.statusCode, [...own, "Content-Length", shown.body.length.toString()]);
      response.end(shown.body);
    } finally {
      held.release();
    }
  }

  /** Who may see card numbers in the answer to this request; undefined for nobody. */
  async #revealsTo(request: IncomingMessage, target: string): Promise<string | undefined> {
    const { revealRoutes } = this.#options;
    if (revealRoutes === undefined || revealRoutes.length === 0 || request.method === "HEAD") return undefined;
    const key = request.headers[revealKeyHeader];
    if (typeof key !== "string" || !isRevealRoute(revealRoutes, request.method ?? "", target)) return undefined;
    return this.#parts.authority.authorise(key);
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): Outcome {
    const refusal = asRefusal(error);
    if (refusal !== undefined) this.#parts.meters.refused(refusal.reason);
    else if (!response.destroyed)
      this.#parts.log.warn({ error: errorClass(error) }, "the application could not be reached");
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return "error";
    }
    const status = refusal?.status ?? 502;
    const text = `${refusal?.message ?? "the application is out of reach or too slow"}\n`;
    const headers = [
      "Content-Type",
      "text/plain; charset=utf-8",
      "Cache-Control",
      "no-store",
      "Content-Length",
      text.length.toString(),
    ];
    if (refusal?.retryAfter !== undefined) headers.push("Retry-After", refusal.retryAfter.toString());
    // What wasn't read of the request can't be told from the next one.
    if (!request.complete) headers.push("Connection", "close");
    response.writeHead(status, headers);
    response.end(request.method === "HEAD" ? undefined : text, () => {
      if (!request.complete) request.destroy();
    });
    return refusal === undefined ? "error" : "refused";
  }
}

const oneOf = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

/** Runs `work` as a step of a trace, where there is one. */
async function inStep<T>(step: Span | undefined, work: () => Promise<T>): Promise<T> {
  if (step === undefined) return work();
  try {
    const result = await work();
    step.end("ok");
    return result;
  } catch (error) {
    step.end(asRefusal(error) === undefined ? "error" : "refused");
    throw error;
  }
}

/** The fields of a request with this service as the caller in its trace; as they are where it keeps none. */
function traced(headers: string[], span: Span | undefined): string[] {
  if (span === undefined) return headers;
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = "", value = ""] = [headers[at], headers[at + 1]];
    if (name.toLowerCase() !== "traceparent") kept.push(name, value);
  }
  return [...kept, "traceparent", span.traceparent];
}

/** Fields as undici gives them when it is asked for raw ones, whose type it does not tell. */
function rawHeaders(headers: unknown): string[] {
  if (!Array.isArray(headers)) throw new TypeError("the fields of the answer are not raw");
  return headers.map((text: unknown) => (Buffer.isBuffer(text) ? text.toString("latin1") : String(text)));
}

/** Class of an error, without its text, which may hold addresses. */
function errorClass(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as Error & { code?: unknown };
  return typeof code === "string" ? code : error.name;
}

/** The target as origin-form (RFC 9112 section 3.2), byte for byte; an absolute one loses scheme and authority. */
function originForm(url: string): string {
  if (url.startsWith("/") || url === "*") return url;
  const match = /^https?:\/\/[^/?#]*(.*)$/i.exec(url);
  if (match === null) throw new Refusal("parse", 400, "the request target is malformed");
  const rest = match[1] ?? "";
  return rest.startsWith("/") ? rest : `/${rest}`;
}
