import { once } from "node:events";
import { Agent, request as requestHttps } from "node:https";
import { request as requestHttp } from "node:http";
import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { gateway } from "../../../lab/src/demo/objects.ts";
import { type Answered, answered } from "../support/answered.ts";
import { namespace, succeed } from "../support/deploy.ts";
import { kubectl } from "../support/lab.ts";
import type { Outcome } from "./traffic.ts";

/** A number that no card has: Visa's for tests. */
const card = "4111111111111111";

/** The lab's proxies as clients reach them. */
export interface Doors {
  readonly inbound: string;
  readonly outbound: string;
  /** What clients of the platform trust, and what applications trust on their way out, PEM. */
  readonly authorities: string;
  readonly egressAuthority: string;
}

/** The address of a Service of the tenant. */
export const serviceAddress = (part: string): Promise<string> =>
  kubectl("get", "service", `tokenshield-${part}`, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}");

export async function doors(): Promise<Doors> {
  const { tenants } = JSON.parse(await succeed("stack", "output", "--json")) as {
    tenants: Record<string, { caBundle: string; egressCaBundle: string }>;
  };
  const { caBundle = "", egressCaBundle = "" } = tenants["acme"] ?? {};
  const [inbound, outbound] = await Promise.all([serviceAddress("inbound"), serviceAddress("outbound")]);
  return { inbound, outbound, authorities: caBundle, egressAuthority: egressCaBundle };
}

const token = /^tok_[A-Za-z0-9_-]{43}=$/;

/** Sends cards to the inbound proxy, whose application answers with what it got, over connections that are kept. */
export class InboundClient {
  readonly #agent: Agent;
  readonly #host: string;

  constructor({ inbound, authorities }: Pick<Doors, "inbound" | "authorities">, connections = 32) {
    this.#host = inbound;
    const servername = `tokenshield-inbound.${namespace}.svc`;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, ca: authorities, servername });
  }

  async post(): Promise<Answered> {
    const body = JSON.stringify({ amount: 1250, card: { number: card } });
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const where = { host: this.#host, port: 443, path: "/echo", method: "POST", headers, agent: this.#agent };
    return answered(requestHttps({ ...where, timeout: 20_000 }), body);
  }

  /** @returns a token that the application got */
  async token(): Promise<string> {
    const { status, body } = await this.post();
    const { number } = status === 200 ? (JSON.parse(body) as { card: { number: string } }).card : { number: "" };
    if (!token.test(number)) throw new Error(`${status}: no token`);
    return number;
  }

  /** One request. A card number that came back would have passed in clear: the application answers with what it got. */
  async send(): Promise<Outcome> {
    const { status, body } = await this.post();
    if (body.includes(card)) return "A CARD NUMBER PASSED";
    return status === 200 ? undefined : `${status}`;
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Pays at the demo's gateway by way of the egress proxy, as the merchant does: a tunnel for each payment. */
export class OutboundClient {
  readonly #doors: Doors;

  constructor(made: Doors) {
    this.#doors = made;
  }

  /** TLS to the gateway, inside a tunnel. */
  async secure(): Promise<TLSSocket> {
    const socket = await this.#tunnel();
    const { host: servername } = gateway;
    const made = connectTls({ socket, servername, ca: this.#doors.egressAuthority });
    await once(made, "secureConnect");
    return made;
  }

  /** @returns undefined where the gateway was paid by a card, and a status where it wasn't */
  async pay(number: string, reference: string): Promise<Outcome> {
    const made = await this.secure();
    const agent = Object.assign(new Agent({ maxSockets: 1 }), { createConnection: () => made });
    try {
      const charge = { reference, amount: 1250, currency: "EUR", card: { number, expires: "12/30" } };
      const body = JSON.stringify(charge);
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const where = { host: gateway.host, path: "/charges", method: "POST", headers, agent };
      const { status } = await answered(requestHttps({ ...where, timeout: 20_000 }), body);
      return status === 201 ? undefined : `${status}`;
    } finally {
      made.destroy();
    }
  }

  #tunnel(): Promise<Socket> {
    const path = `${gateway.host}:${gateway.port}`;
    return new Promise((resolve, reject) => {
      const where = { host: this.#doors.outbound, port: 3128, method: "CONNECT", path, headers: { host: path } };
      const sent = requestHttp({ ...where, agent: false, timeout: 20_000 });
      sent.once("error", reject);
      sent.once("timeout", () => sent.destroy(new Error("CONNECT had no answer in 20 s")));
      sent.once("connect", ({ statusCode = 0 }, socket) => {
        if (statusCode === 200) resolve(socket);
        else reject(new Error(`CONNECT ${statusCode}`));
      });
      sent.end();
    });
  }
}
