import assert from "node:assert/strict";
import { connect } from "node:tls";
import type { Issued } from "./certificates.ts";
import type { ServiceProcess } from "./service-process.ts";

/** What came of a connection over TLS on which one request was sent. */
export interface Spoken {
  readonly said: "something" | "nothing";
  readonly text: string;
  /** A session that another connection may resume. */
  readonly session: Buffer | undefined;
}

/** Sends an HTTP request to any port, with a certificate or without. */
export function speak(
  service: ServiceProcess,
  port: number,
  how: { readonly own?: Issued | undefined; readonly path?: string; readonly session?: Buffer } = {},
): Promise<Spoken> {
  const { own, path = "/", session: resumed } = how;
  return new Promise((resolve) => {
    let text = "";
    let session: Buffer | undefined;
    const socket = connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: service.authority.certificate,
      ...(own === undefined ? {} : { cert: own.certificate, key: own.key }),
      ...(resumed === undefined ? {} : { session: resumed }),
    });
    socket.on("secureConnect", () => {
      if (resumed !== undefined) assert.ok(socket.isSessionReused(), "the session was resumed");
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    socket.on("session", (ticket) => (session = ticket));
    socket.on("data", (piece: Buffer) => (text += piece.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      resolve({ said: text === "" ? "nothing" : "something", text, session });
    });
  });
}
