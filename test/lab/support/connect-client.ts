import { Agent, request as httpsRequest } from "node:https";
import { request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Answered, answered } from "./answered.ts";

/** A request by way of a proxy. */
export interface Asked {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Name in the TLS greeting, where it isn't the host's. */
  readonly servername?: string;
}

/** An answer to CONNECT: the tunnel where it is open, else what was said instead. */
export interface Tunnel {
  readonly status: number;
  readonly said: string;
  readonly socket: Socket;
}

/** CONNECT to `host:port` through the proxy at a port of this machine. */
export function tunnel(proxy: number, target: string): Promise<Tunnel> {
  return new Promise((resolve, reject) => {
    const headers = { host: target };
    const where = { host: "127.0.0.1", port: proxy, path: target };
    const sent = httpRequest({ ...where, method: "CONNECT", headers, agent: false });
    sent.once("error", reject);
    sent.once("connect", (response, socket, head) => {
      const pieces: Uint8Array[] = [head];
      const status = response.statusCode ?? 0;
      const done = (): void => {
        resolve({ status, said: JSON.stringify(response.headers) + Buffer.concat(pieces).toString(), socket });
      };
      if (status === 200) {
        done();
        return;
      }
      socket.on("data", (piece: Buffer) => pieces.push(piece));
      socket.once("close", done);
    });
    sent.end();
  });
}

/** TLS inside of a tunnel, verified by one authority. */
export async function secure(proxy: number, authority: string, asked: Asked): Promise<TLSSocket> {
  const { host, port, servername = host } = asked;
  const { status, said, socket } = await tunnel(proxy, `${host}:${port}`);
  if (status !== 200) throw new Error(`CONNECT ${status}: ${said}`);
  return new Promise((resolve, reject) => {
    const made: TLSSocket = connectTls({ socket, servername, ca: authority }, () => {
      resolve(made);
    });
    made.once("error", reject);
    made.once("close", () => {
      reject(new Error("closed in the greeting"));
    });
  });
}

/** An agent with one connection, this. */
export function over(socket: TLSSocket): Agent {
  return Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), { createConnection: () => socket });
}

/** Sends a POST of JSON and reads the answer: the gateway's, or the proxy's in its place. */
export function send(agent: Agent, asked: Asked): Promise<Answered> {
  const { host, port, path = "/pay", headers = {}, body = "" } = asked;
  const fixed = { host: `${host}:${port}`, "content-type": "application/json" };
  return answered(httpsRequest({ method: "POST", path, headers: { ...fixed, ...headers }, agent }), body);
}
