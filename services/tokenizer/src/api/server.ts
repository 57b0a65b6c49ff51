import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Actor, Principal } from "../accounts/index.ts";
import { farewell } from "../core/farewell.ts";
import { peerSubject } from "../core/peers.ts";
import type { Caller, Log, Meters, Outcome } from "../core/ports.ts";
import {
  errorFields,
  type OpenTelemetry,
  requestIdFrom,
  type RequestSpan,
  type RequestContext,
  traceFrom,
  withRequest,
} from "../telemetry/index.ts";
import { errorClassOf } from "../storage/index.ts";
import type { Admission } from "./admission.ts";
import { answerPreflight, isPreflight, setCommonHeaders } from "./cors.ts";
import { ApiError, answerFor, unavailable } from "./errors.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Answer, Call, Operation } from "./operation.ts";
import { clientAddress, header } from "./request.ts";

/** Certificate of the listener, PEM, and the authorities of its callers. */
export interface ListenerTls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  readonly ca?: string | Buffer;
}

export interface ApiOptions {
  readonly operations: readonly Operation[];
  readonly admission: Admission;
  readonly idempotency: Idempotency;
  readonly meters: Meters;
  readonly log: Log;
  /** Undefined where there are no traces. */
  readonly tracing: OpenTelemetry | undefined;
  readonly now: () => Date;
  /** Origins of other sites whose pages may call. */
  readonly origins: readonly string[];
  /** Peers whose X-Forwarded-* headers count: addresses and networks. */
  readonly trustedProxies: readonly string[];
  /** Bodies larger than this get 413, unless an operation has a limit of its own. Bytes. */
  readonly maxBody: number;
  /** Requests that run at the same time; more get 503. Health and metrics are not counted. */
  readonly maxInFlight: number;
  /** Bytes of bodies that are held at the same time; more get 503. */
  readonly maxHeldBytes: number;
  /** Undefined only on loopback. */
  readonly tls: ListenerTls | undefined;
  /** Whether callers must show a certificate of the authorities. Health and metrics are told without. */
  readonly clientCertificate: "required" | "none";
}

/** What is known of a request while it runs. */
interface Running {
  readonly context: RequestContext;
  readonly span: RequestSpan | undefined;
  readonly started: number;
  operation: Operation | undefined;
  principal: Principal | undefined;
}

/** The label of requests that no operation fits. */
export const unknownOperation = "unknown";

const bodyTimeout = 120_000;
const headersTimeout = 10_000;
const mostParameter = 256;

/** The management API on one port. */
export class ApiServer {
  readonly #app: FastifyInstance;
  readonly #options: ApiOptions;
  readonly #running = new WeakMap<FastifyRequest, Running>();
  readonly #parallel = new Map<Operation, number>();
  readonly #sockets = new Set<Socket>();
  #inFlight = 0;
  #heldBytes = 0;
  /** Answers say that their connection ends. */
  #leaving = false;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#app = fastify({
      // Who shows none is told so in an answer, or kubelet and Prometheus could not be let through.
      https:
        options.tls === undefined
          ? null
          : {
              ...options.tls,
              minVersion: "TLSv1.2",
              requestCert: options.clientCertificate === "required",
              rejectUnauthorized: false,
            },
      bodyLimit: options.maxBody,
      trustProxy: options.trustedProxies.length === 0 ? false : [...options.trustedProxies],
      exposeHeadRoutes: false,
      return503OnClosing: false,
      forceCloseConnections: "idle",
      requestTimeout: bodyTimeout,
      keepAliveTimeout: 65_000,
      routerOptions: { maxParamLength: mostParameter },
      frameworkErrors: (error, request, reply) => {
        void this.#fail(error, request, reply);
      },
      clientErrorHandler: (_error, socket) => {
        refuseConnection(socket, options.now());
      },
    });
    this.#app.server.headersTimeout = headersTimeout;
    this.#app.server.on("secureConnection", refuseStranger);
    this.#app.server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#readBodies();
    this.#app.addHook("onRequest", (request, reply) => this.#begin(request, reply));
    this.#app.addHook("onSend", (_request, reply, payload) => {
      if (this.#leaving) reply.header("connection", "close");
      return Promise.resolve(payload);
    });
    this.#app.addHook("onResponse", (request, reply) => this.#end(request, reply));
    this.#app.setErrorHandler((error, request, reply) => this.#fail(error, request, reply));
    this.#app.setNotFoundHandler((request) => this.#unknown(request));
    for (const operation of options.operations) this.#add(operation);
  }

  /** Listens. Gives the port, which differs from the one asked for if that was 0. */
  async listen(host: string, port: number): Promise<number> {
    await this.#app.listen({ host, port });
    const address = this.#app.server.address();
    if (address === null || typeof address === "string") throw new Error("the management API has no port");
    return address.port;
  }

  get listening(): boolean {
    return this.#app.server.listening;
  }

  /** New connections use this certificate from now on. */
  useCertificate(tls: ListenerTls): void {
    if (this.#options.tls === undefined) throw new Error("the management API listens without TLS");
    (this.#app.server as unknown as HttpsServer).setSecureContext({ ...tls, minVersion: "TLSv1.2" });
  }

  /**
   * Tells callers that keep their connections that these end, then takes no new one, lets running requests end and resolves.
   *
   * @param limit milliseconds that the stop may take, by which the time for the telling is measured
   */
  async close(limit: number): Promise<void> {
    this.#leaving = true;
    if (this.listening) await farewell(() => this.#sockets.size, limit);
    await this.#app.close();
  }

  #readBodies(): void {
    this.#app.removeAllContentTypeParsers();
    this.#app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, text, done) => {
      if (text.length === 0) {
        done(null, undefined);
        return;
      }
      try {
        done(null, JSON.parse(text.toString()));
      } catch {
        // The parser's message quotes the body.
        done(new ApiError(400, "BAD_REQUEST", "The body is not JSON"));
      }
    });
  }

  #add(operation: Operation): void {
    this.#app.route({
      method: operation.method,
      url: operation.path,
      ...(operation.maxBody === undefined ? {} : { bodyLimit: operation.maxBody }),
      // Before the body is read, so that strangers cannot make the service read large ones.
      onRequest: async (request, reply) => {
        const run = this.#of(request);
        run.operation = operation;
        run.principal = await withRequest(run.context, () => this.#options.admission.admit(operation, request));
        this.#enter(operation, request, reply);
      },
      handler: async (request, reply) => {
        const run = this.#of(request);
        const answer = await withRequest(run.context, () =>
          this.#answer(operation, callOf(operation, request, reply, run.principal)),
        );
        return reply
          .code(answer.status)
          .headers(answer.headers ?? {})
          .send(answer.body);
      },
    });
  }

  /** Runs an operation, or gives the first answer again. */
  #answer(operation: Operation, call: Call): Promise<Answer> {
    const key = header(call.request, "idempotency-key");
    if (operation.idempotency === undefined || key === undefined || call.principal === undefined)
      return operation.handle(call);
    return this.#options.idempotency.once(call.principal.name, operation.id, key, call.request.body, () =>
      operation.handle(call),
    );
  }

  async #begin(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const run = this.#of(request);
    setCommonHeaders(request, reply, this.#options.origins);
    reply.header("x-request-id", run.context.requestId);
    if (isProbe(request)) return;
    if (this.#options.clientCertificate === "required" && peerSubject(request.raw.socket) === "") {
      throw new ApiError(403, "FORBIDDEN", "This port is for callers with a certificate of the platform");
    }
    this.#inFlight += 1;
    reply.raw.once("close", () => {
      this.#inFlight -= 1;
    });
    if (this.#inFlight > this.#options.maxInFlight) throw unavailable("The service is busy", 1);
    this.#options.admission.countAddress(request);
    if (isPreflight(request)) await answerPreflight(request, reply, this.#options.origins);
  }

  /** Takes the place and the memory that a call needs, until its answer is sent. */
  #enter(operation: Operation, request: FastifyRequest, reply: FastifyReply): void {
    const count = this.#parallel.get(operation) ?? 0;
    if (count >= (operation.maxParallel ?? Infinity))
      throw unavailable("Too many calls of this kind at the same time", 5);
    const bytes = bodyBytes(request, operation.maxBody ?? this.#options.maxBody);
    if (this.#heldBytes + bytes > this.#options.maxHeldBytes) throw unavailable("The service is busy", 1);
    this.#parallel.set(operation, count + 1);
    this.#heldBytes += bytes;
    reply.raw.once("close", () => {
      this.#parallel.set(operation, (this.#parallel.get(operation) ?? 1) - 1);
      this.#heldBytes -= bytes;
    });
  }

  /** The log line and the metrics of a request. Neither holds its path, its query or a header. */
  #end(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { context, span, started, operation, principal } = this.#of(request);
    const seconds = (performance.now() - started) / 1000;
    const status = reply.statusCode;
    const outcome: Outcome = status < 400 ? "ok" : status < 500 ? "refused" : "error";
    const name = operation?.id ?? unknownOperation;
    this.#options.meters.request("api", name, outcome, seconds);
    span?.end(outcome, name);
    const fields = {
      operation: name,
      status,
      ms: Math.round(seconds * 1000),
      caller: principal?.name ?? "",
      source_ip: clientAddress(request),
      request_id: context.requestId,
      trace_id: context.trace.traceId,
    };
    if (isProbe(request)) this.#options.log.debug(fields, "answered");
    else this.#options.log.info(fields, "answered");
    return Promise.resolve();
  }

  async #fail(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { context, operation } = this.#of(request);
    const known = answerFor(thrown);
    const error =
      known ?? new ApiError(500, "INTERNAL", "Something went wrong here; the log has it under this request id");
    const fields = { operation: operation?.id ?? unknownOperation, request_id: context.requestId };
    if (known === undefined) this.#options.log.error({ ...fields, err: errorFields(thrown) }, "failed");
    else if (known.status >= 500) this.#options.log.warn({ ...fields, error_class: errorClassOf(thrown) }, "refused");
    await reply.code(error.status).headers(error.headers()).send(error.body(this.#options.now(), context.requestId));
  }

  /** 405 with the methods that the path has, or 404. */
  #unknown(request: FastifyRequest): never {
    const path = request.url.split("?", 1)[0] ?? "";
    const allowed = this.#options.operations
      .filter((operation) => fits(operation.path, path))
      .map(({ method }) => method);
    if (allowed.length === 0) throw new ApiError(404, "NOT_FOUND", "There is nothing at this path");
    throw new ApiError(405, "METHOD_NOT_ALLOWED", "This path has another method", {
      headers: { allow: [...new Set([...allowed, "OPTIONS"])].join(", ") },
    });
  }

  #of(request: FastifyRequest): Running {
    const known = this.#running.get(request);
    if (known !== undefined) return known;
    const requestId = requestIdFrom(header(request, "x-request-id"));
    const caller = [header(request, "traceparent"), header(request, "tracestate")] as const;
    const span = isProbe(request) ? undefined : this.#options.tracing?.begin("api", ...caller);
    const run = {
      context: { requestId, trace: span?.context ?? traceFrom(...caller) },
      span,
      started: performance.now(),
      operation: undefined,
      principal: undefined,
    };
    this.#running.set(request, run);
    return run;
  }
}

/** Kubelet and Prometheus are never refused for load. */
const isProbe = (request: FastifyRequest): boolean => /^\/(health|metrics)(\/|$)/.test(request.routeOptions.url ?? "");

/** A certificate that the authorities don't know is worse than none: it isn't argued with. */
function refuseStranger(socket: TLSSocket): void {
  if (!socket.authorized && socket.getPeerX509Certificate() !== undefined) socket.destroy();
}

/** How large a body is said to be; one of unknown length counts as the largest that is allowed, a larger one is refused later. */
function bodyBytes(request: FastifyRequest, most: number): number {
  const length = header(request, "content-length");
  if (length === undefined) return header(request, "transfer-encoding") === undefined ? 0 : most;
  return Math.min(Number(length), most);
}

function fits(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => (part.startsWith(":") ? given[index] !== "" : part === given[index]))
  );
}

function callOf(
  operation: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
  principal: Principal | undefined,
): Call {
  const sourceIp = clientAddress(request);
  const actor: Actor = {
    name: principal?.name ?? "",
    userId: principal?.user?.userId,
    sourceIp,
    granted: principal?.granted ?? new Set(),
  };
  const caller: Caller = { source: "api", actor: actor.name, sourceIp, destination: operation.path };
  return { request, reply, principal, actor, caller };
}

/** Bytes that are no HTTP request get an answer of the usual shape, and the connection ends. */
function refuseConnection(socket: Socket, now: Date): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(new ApiError(400, "BAD_REQUEST", "This is no well-formed HTTP request").body(now, ""));
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
