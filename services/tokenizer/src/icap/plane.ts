import { createHash } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { farewell } from "../core/farewell.ts";
import { mayCall, peerSubject } from "../core/peers.ts";
import type { Audit, Log, Meters, Tracing } from "../core/ports.ts";
import { ByteBudget, type Revealing, type Tokenizing } from "../flow/index.ts";
import { Destinations } from "./destinations.ts";
import { icapHead } from "./message.ts";
import { IcapSession, type IcapShared } from "./session.ts";

/** Times are milliseconds. */
export interface IcapPlaneOptions {
  readonly host: string;
  readonly port: number;
  /** Certificate, key and authorities of the listener; undefined only on loopback. */
  readonly tls?: TlsOptions | undefined;
  /** Names of the certificates that may call; none means every one of the authority. */
  readonly peers?: readonly string[] | undefined;
  /** Origins to which card numbers may go. */
  readonly destinations: readonly string[];
  readonly maxBodyBytes: number;
  readonly maxConnections?: number;
  readonly maxHeldBytes?: number;
  readonly requestTimeout?: number;
  readonly idleTimeout?: number;
  /** What else the answers depend on (formats, rules, version), so that ISTag changes with it. */
  readonly configuration: string;
}

export interface IcapPlaneParts {
  readonly tokenizing: Tokenizing;
  readonly revealing: Revealing;
  readonly audit: Audit;
  readonly meters: Meters;
  readonly log: Log;
  /** Undefined where there are no traces. */
  readonly tracing?: Tracing | undefined;
}

/** The operations of this plane, for the metrics. */
export const icapOperations: readonly string[] = ["options", "reqmod", "respmod", "other"];

/** At most 32 characters (RFC 3507 section 4.7), other ones for every other configuration. */
export function isTagOf(options: Pick<IcapPlaneOptions, "destinations" | "maxBodyBytes" | "configuration">): string {
  const text = JSON.stringify([options.destinations, options.maxBodyBytes, options.configuration]);
  return `TS-${createHash("sha256").update(text).digest("base64url").slice(0, 24)}`;
}

/**
 * The ICAP service for Squid (port 1344, RFC 3507): `/reqmod` puts card numbers into requests to gateways on the list, `/respmod`
 * takes them out of responses. Anything that can't be done for sure is answered with an HTTP error in the place of the message.
 */
export class IcapPlane {
  readonly #options: IcapPlaneOptions;
  readonly #shared: IcapShared;
  readonly #server: Server;
  readonly #sessions = new Set<IcapSession>();
  readonly #sockets = new Set<Socket>();
  /** Answers say that their connection ends. */
  #leaving = false;

  /** @throws TypeError for a destination that is no https origin */
  constructor(options: IcapPlaneOptions, parts: IcapPlaneParts) {
    this.#options = options;
    this.#shared = {
      ...parts,
      tracing: parts.tracing,
      destinations: new Destinations(options.destinations),
      budget: new ByteBudget(options.maxHeldBytes ?? 268_435_456),
      maxBodyBytes: options.maxBodyBytes,
      maxConnections: options.maxConnections ?? 500,
      isTag: isTagOf(options),
      requestTimeout: options.requestTimeout ?? 60_000,
      idleTimeout: options.idleTimeout ?? 300_000,
    };
    const accept = (socket: Socket): void => {
      void this.#accept(socket);
    };
    this.#server = options.tls === undefined ? createServer(accept) : createTlsServer(options.tls, accept);
    this.#server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
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
  useCertificate(tls: TlsOptions): void {
    if ("setSecureContext" in this.#server)
      (this.#server as Server & { setSecureContext(tls: TlsOptions): void }).setSecureContext(tls);
  }

  /**
   * Stops listening within `limit` milliseconds. Callers are told first that their connections end, each with its next answer;
   * then idle ones are closed, and busy ones after their request.
   */
  async stop(limit: number): Promise<void> {
    this.#leaving = true;
    for (const session of this.#sessions) session.leave();
    await farewell(() => this.#sockets.size, limit);
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const session of this.#sessions) session.stop();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, limit);
    await closed;
    clearTimeout(timer);
  }

  async #accept(socket: Socket): Promise<void> {
    socket.on("error", () => socket.destroy());
    if (!mayCall(socket, this.#options.peers ?? [])) {
      this.#shared.log.warn({ subject: peerSubject(socket) }, "a peer that may not call this port was sent away");
      socket.destroy();
      return;
    }
    if (this.#sockets.size >= this.#shared.maxConnections) {
      this.#shared.meters.refused("size");
      socket.end(
        icapHead(503, ["ISTag", `"${this.#shared.isTag}"`, "Connection", "close", "Encapsulated", "null-body=0"]),
      );
      return;
    }
    const session = new IcapSession(socket, this.#shared);
    if (this.#leaving) session.leave();
    this.#sockets.add(socket);
    this.#sessions.add(session);
    this.#shared.meters.icapConnections(this.#sockets.size);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#sessions.delete(session);
      this.#shared.meters.icapConnections(this.#sockets.size);
    });
    await session.run();
  }
}
