import type { Socket } from "node:net";
import { isIP } from "node:net";
import { Refusal } from "../core/errors.ts";
import { peerSubject } from "../core/peers.ts";
import type { Audit, Caller, Log, Meters, Outcome, Tracing } from "../core/ports.ts";
import { binaryTypes, looksLikeText, mediaType, sniffed } from "../detect/index.ts";
import {
  asRefusal,
  type ByteBudget,
  headerValue,
  type Message,
  printablePath,
  type Revealing,
  type Tokenizing,
} from "../flow/index.ts";
import { destinationOf, type Destinations } from "./destinations.ts";
import { FrameReader, IcapEnded, IcapError } from "./frame.ts";
import {
  encapsulate,
  type HttpHead,
  icapHead,
  type IcapHead,
  type IcapMethod,
  parseEncapsulated,
  parseHead,
  parseIcapHead,
  type ServiceName,
  withLength,
} from "./message.ts";

/** What every connection of the listener shares. */
export interface IcapShared {
  readonly tokenizing: Tokenizing;
  readonly revealing: Revealing;
  readonly destinations: Destinations;
  readonly audit: Audit;
  readonly meters: Meters;
  readonly log: Log;
  /** Undefined where there are no traces. */
  readonly tracing: Tracing | undefined;
  readonly budget: ByteBudget;
  readonly maxBodyBytes: number;
  readonly maxConnections: number;
  /** Changes with the configuration (RFC 3507 section 4.7). */
  readonly isTag: string;
  /** Milliseconds for one request, from its first byte to its answer. */
  readonly requestTimeout: number;
  /** Milliseconds that a connection may be idle. */
  readonly idleTimeout: number;
}

/** One request, read whole but for what a preview leaves. */
interface IcapRequest {
  readonly head: IcapHead;
  readonly method: IcapMethod;
  readonly http: HttpHead;
  /** The request head that came with a response. */
  readonly asked: HttpHead | undefined;
  readonly body: "body" | "none";
  /** Whether an unchanged message may be answered with 204. */
  readonly allow204: boolean;
  readonly preview: number | undefined;
}

type Verdict = { readonly kind: "unchanged" } | { readonly kind: "changed"; readonly message: Message };

const mostHead = 65_536;
const previewBytes = sniffed;
const unchanged: Verdict = { kind: "unchanged" };

/** One ICAP connection: requests one after the other, each answered before the next is read. */
export class IcapSession {
  readonly #socket: Socket;
  readonly #shared: IcapShared;
  readonly #reader: FrameReader;
  readonly #actor: string;
  /** The next answer says that the connection ends, and it does. */
  #leaving = false;
  /** That answer was sent. */
  #last = false;
  #stopping = false;
  #busy = false;

  constructor(socket: Socket, shared: IcapShared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#reader = new FrameReader(socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>);
    this.#actor = peerSubject(socket);
  }

  /** Serves the connection to its end. Never rejects. */
  async run(): Promise<void> {
    const { idleTimeout } = this.#shared;
    this.#socket.setNoDelay(true);
    this.#socket.setTimeout(idleTimeout, () => this.#socket.destroy());
    try {
      while (!this.#stopping && (await this.#one()));
      this.#socket.end();
    } catch (error) {
      // The peer is gone, or cut a message: nobody is left to tell.
      if (!(error instanceof IcapEnded))
        this.#shared.log.debug({ error: error instanceof Error ? error.name : "unknown" }, "an ICAP connection broke");
      this.#socket.destroy();
    }
  }

  /** Ends the connection with the next answer that begins, which says so (`Connection: close`). */
  leave(): void {
    this.#leaving = true;
  }

  /** Ends the connection at once, or after the request that is under way. */
  stop(): void {
    this.#stopping = true;
    if (!this.#busy) this.#socket.destroy();
  }

  /** Serves one request. @returns false if the connection ends with it */
  async #one(): Promise<boolean> {
    let operation = "other";
    let outcome: Outcome = "error";
    let started = performance.now();
    let timer: NodeJS.Timeout | undefined;
    try {
      const block = await this.#reader.block(mostHead);
      if (block === undefined) return false;
      this.#busy = true;
      started = performance.now();
      timer = setTimeout(() => this.#socket.destroy(), this.#shared.requestTimeout);
      const head = parseIcapHead(block);
      operation = ["OPTIONS", "REQMOD", "RESPMOD"].includes(head.method) ? head.method.toLowerCase() : "other";
      outcome = await this.#serve(head);
      return headerValue(head.headers, "connection")?.toLowerCase() !== "close" && !this.#pipelined() && !this.#last;
    } catch (error) {
      if (!(error instanceof IcapError)) throw error;
      outcome = "refused";
      this.#shared.meters.refused(error.status === 413 ? "size" : "parse");
      this.#sendError(error.status);
      return false;
    } finally {
      clearTimeout(timer);
      this.#busy = false;
      if (timer !== undefined)
        this.#shared.meters.request("icap", operation, outcome, (performance.now() - started) / 1000);
    }
  }

  /** A request that was sent before the answer to the one before it: refused, and the connection ends. */
  #pipelined(): boolean {
    if (!this.#early) return false;
    this.#early = false;
    this.#shared.meters.refused("parse");
    this.#sendError(400);
    return true;
  }

  #early = false;

  async #serve(head: IcapHead): Promise<Outcome> {
    const service = head.service;
    if (service !== "reqmod" && service !== "respmod") throw new IcapError(404, "no such service");
    if (head.method === "OPTIONS") {
      parseEncapsulated(headerValue(head.headers, "encapsulated"), "OPTIONS");
      this.#noteEarly();
      this.#options(service);
      return "ok";
    }
    if (head.method.toLowerCase() !== service) throw new IcapError(405, "the service has no such method");
    const request = await this.#read(head, head.method as "REQMOD" | "RESPMOD");
    const { headers } = request.asked ?? request.http;
    const span = this.#shared.tracing?.begin(
      service,
      headerValue(headers, "traceparent"),
      headerValue(headers, "tracestate"),
    );
    let outcome: Outcome = "error";
    try {
      const { bytes, release, answered } = await this.#body(request);
      try {
        this.#noteEarly();
        outcome = answered ? "unchanged" : await this.#judge(request, bytes);
      } finally {
        release();
      }
    } finally {
      span?.end(outcome);
    }
    return outcome;
  }

  /** Whether anything came before the answer: nothing may, so the client is one that pipelines. */
  #noteEarly(): void {
    this.#early = this.#reader.held > 0 || this.#socket.readableLength > 0;
  }

  #options(service: ServiceName): void {
    const { maxConnections } = this.#shared;
    this.#socket.write(
      this.#head(200, [
        ...["Methods", service.toUpperCase()],
        ...["Service", "TokenShield Unified 1.0"],
        ...["Max-Connections", maxConnections.toString()],
        ...["Options-TTL", "60"],
        ...["Allow", "204"],
        ...["Preview", previewBytes.toString()],
        ...["Transfer-Preview", "*"],
        ...["Encapsulated", "null-body=0"],
      ]),
    );
  }

  async #read(head: IcapHead, method: "REQMOD" | "RESPMOD"): Promise<IcapRequest> {
    const { heads, body } = parseEncapsulated(headerValue(head.headers, "encapsulated"), method);
    const parsed = new Map<string, HttpHead>();
    for (const { name, length } of heads) parsed.set(name, parseHead(await this.#reader.exact(length)));
    const http = parsed.get(method === "REQMOD" ? "req-hdr" : "res-hdr");
    if (http === undefined) throw new IcapError(400, "the message has no header");
    const preview = headerValue(head.headers, "preview");
    if (preview !== undefined && !/^\d{1,9}$/.test(preview))
      throw new IcapError(400, "the header Preview is malformed");
    const allow = (headerValue(head.headers, "allow") ?? "").split(",").map((word) => word.trim());
    return {
      head,
      method,
      http,
      asked: method === "RESPMOD" ? parsed.get("req-hdr") : undefined,
      body,
      allow204: allow.includes("204"),
      preview: preview === undefined ? undefined : Number(preview),
    };
  }

  /** Reads the body. After a preview that shows a binary type the answer 204 is given at once, and the rest never sent. */
  async #body(request: IcapRequest): Promise<{ bytes: Buffer; release: () => void; answered: boolean }> {
    const { budget, maxBodyBytes } = this.#shared;
    const pieces: Buffer[] = [];
    let length = 0;
    const release = (): void => {
      budget.give(length);
      length = 0;
    };
    if (request.body === "none") return { bytes: Buffer.alloc(0), release, answered: false };
    try {
      let previewing = request.preview !== undefined;
      for (;;) {
        const chunk = await this.#reader.chunk(maxBodyBytes - length);
        if ("data" in chunk) {
          budget.take(chunk.data.length);
          length += chunk.data.length;
          pieces.push(chunk.data);
          continue;
        }
        if (!previewing || chunk.last === "ieof") return { bytes: Buffer.concat(pieces), release, answered: false };
        previewing = false;
        if (passesUnread(request.http, Buffer.concat(pieces))) {
          this.#send204();
          return { bytes: Buffer.alloc(0), release, answered: true };
        }
        this.#socket.write(icapHead(100, []));
      }
    } catch (error) {
      release();
      if (error instanceof Refusal) throw new IcapError(503, error.message);
      throw error;
    }
  }

  async #judge(request: IcapRequest, body: Buffer): Promise<Outcome> {
    try {
      const verdict =
        request.method === "REQMOD" ? await this.#request(request, body) : await this.#response(request, body);
      if (verdict.kind === "unchanged") {
        if (request.allow204) this.#send204();
        else this.#send(request.method === "REQMOD" ? "req" : "res", request.http, body);
        return "unchanged";
      }
      const { message } = verdict;
      const kind = request.method === "REQMOD" ? "req" : "res";
      const headers = body.length === 0 ? message.headers : withLength(message.headers, message.body.length);
      this.#send(kind, { startLine: startLineWith(request.http.startLine, message.target), headers }, message.body);
      return "ok";
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal === undefined) {
        this.#shared.log.error({ error: error instanceof Error ? error.name : "unknown" }, "an ICAP request failed");
        throw new IcapError(500, "internal");
      }
      this.#shared.meters.refused(refusal.reason);
      this.#refuse(request, refusal);
      return "refused";
    }
  }

  async #request(request: IcapRequest, body: Buffer): Promise<Verdict> {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/\d\.\d$/.exec(request.http.startLine);
    if (match === null) throw new Refusal("parse", 400, "the request line is malformed");
    const target = match[2] ?? "";
    const { headers } = request.http;
    const destination = destinationOf(target, headers);
    const caller = this.#caller(request, `${destination.host}${printablePath(pathOf(target))}`);
    const message: Message = { target, headers, body };
    const shown = await this.#shared.revealing.apply(
      message,
      caller,
      `egress to ${destination.host}`,
      "refuse",
      async () => {
        try {
          this.#shared.destinations.check(destination, headers);
        } catch (error) {
          await this.#denied(caller);
          throw error;
        }
      },
    );
    return shown === message ? unchanged : { kind: "changed", message: shown };
  }

  async #response(request: IcapRequest, body: Buffer): Promise<Verdict> {
    const target = request.asked?.startLine.split(" ")[1] ?? "";
    const host = destinationOf(target, request.asked?.headers ?? []).host;
    const message: Message = { target: undefined, headers: request.http.headers, body };
    const hidden = await this.#shared.tokenizing.apply(message, () =>
      this.#caller(request, `${host}${printablePath(pathOf(target))}`),
    );
    return hidden === message ? unchanged : { kind: "changed", message: hidden };
  }

  #caller(request: IcapRequest, destination: string): Caller {
    const address = headerValue(request.head.headers, "x-client-ip") ?? "";
    return { source: "icap", actor: this.#actor, sourceIp: isIP(address) === 0 ? "" : address, destination };
  }

  #denied(caller: Caller): Promise<void> {
    const { audit } = this.#shared;
    const event = {
      action: "token.reveal",
      actor: caller.actor === "" ? "icap" : caller.actor,
      sourceIp: caller.sourceIp,
    };
    const details = { destination: caller.destination.slice(0, 255), plane: "icap" };
    return audit.append([
      {
        ...event,
        resourceType: "destination",
        resourceId: caller.destination.slice(0, 128),
        result: "denied",
        details,
      },
    ]);
  }

  /** The head of an answer that isn't `100 Continue`. */
  #head(status: number, headers: readonly string[]): Buffer {
    this.#last = this.#leaving;
    const connection = this.#leaving ? ["Connection", "close"] : [];
    return icapHead(status, ["ISTag", `"${this.#shared.isTag}"`, ...connection, ...headers]);
  }

  #send204(): void {
    this.#socket.write(this.#head(204, ["Encapsulated", "null-body=0"]));
  }

  #send(kind: "req" | "res", head: HttpHead, body: Uint8Array): void {
    const { encapsulated, bytes } = encapsulate(kind, head, body);
    this.#socket.cork();
    this.#socket.write(this.#head(200, ["Encapsulated", encapsulated]));
    for (const piece of bytes) this.#socket.write(piece);
    this.#socket.uncork();
  }

  /** An HTTP error in the place of the message: the proxy hands it to the sender, and nothing of the message goes on. */
  #refuse(request: IcapRequest, refusal: Refusal): void {
    const status = request.method === "RESPMOD" && refusal.status < 500 ? 502 : refusal.status;
    const text = Buffer.from(`${refusal.message}\n`);
    const headers = [
      "Content-Type",
      "text/plain; charset=utf-8",
      "Cache-Control",
      "no-store",
      "Content-Length",
      text.length.toString(),
    ];
    if (refusal.retryAfter !== undefined) headers.push("Retry-After", refusal.retryAfter.toString());
    this.#send("res", { startLine: `HTTP/1.1 ${status} ${status === 403 ? "Forbidden" : "Refused"}`, headers }, text);
  }

  #sendError(status: number): void {
    if (!this.#socket.writable) return;
    this.#socket.write(
      icapHead(status, ["ISTag", `"${this.#shared.isTag}"`, "Connection", "close", "Encapsulated", "null-body=0"]),
    );
  }
}

function pathOf(target: string): string {
  return target.replace(/^https?:\/\/[^/?#]*/i, "");
}

function startLineWith(startLine: string, target: string | undefined): string {
  if (target === undefined) return startLine;
  const [method = "", , version = ""] = startLine.split(" ");
  return `${method} ${target} ${version}`;
}

/** Whether the preview settles that a body is of a binary type and no text, so that no token or card number is looked for. */
function passesUnread(http: HttpHead, preview: Buffer): boolean {
  if (preview.length < previewBytes || headerValue(http.headers, "content-encoding") !== undefined) return false;
  if (mediaType(headerValue(http.headers, "content-type"), binaryTypes).kind !== "binary") return false;
  // Its header and target are searched like those of any message, so a match there must not slip by.
  return !looksLikeText(preview) && !/\d{13}|tok_|cvt_|9999/.test(`${http.startLine} ${http.headers.join(" ")}`);
}
