import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, request } from "node:https";

/**
 * A shop, as small as one can be: it takes an order, pays it at a payment gateway and keeps it in memory. It is an
 * ordinary program without a line for card tokenization: what it takes for the number of a card is a token, and the
 * operator's `HTTPS_PROXY` and `NODE_EXTRA_CA_CERTS` lead its payments through the egress proxy.
 *
 * `POST /orders` with `{ item, amount, currency, card: { number, expires } }`, amounts in the smallest unit of the
 * currency; `GET /orders/<id>` shows an order as it is kept.
 */

interface Card {
  readonly number: string;
  readonly expires: string;
}

interface Order {
  readonly id: string;
  readonly item: string;
  readonly amount: number;
  readonly currency: string;
  readonly card: Card;
  readonly state: "unpaid" | "paid" | "declined";
  /** The gateway's name for the payment. */
  readonly charge?: string;
}

/** A request that can't be served as it is; the message is for whoever sent it. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const gateway = process.env["GATEWAY_URL"] ?? "https://gateway.payments.svc.cluster.local";
const port = Number(process.env["PORT"] ?? "8000");
const longestBody = 65_536;
const mostOrders = 1_000;

const orders = new Map<string, Order>();
const payments = new Agent({ keepAlive: true, timeout: 20_000, proxyEnv: process.env });
/** For a payment whose kept connection ended as it was sent. */
const anew = new Agent({ keepAlive: false, timeout: 20_000, proxyEnv: process.env });

/** Keeps an order, in the place of the oldest one where there are too many. */
function keep(order: Order): Order {
  orders.set(order.id, order);
  const [oldest] = orders.keys();
  if (orders.size > mostOrders && oldest !== undefined) orders.delete(oldest);
  return order;
}

async function read(from: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of from as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestBody) throw new Refusal(413, "the body is too large");
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal(400, "expected JSON");
  }
}

/** @throws Refusal where it is no order */
function orderOf(body: unknown): Order {
  const { item, amount, currency, card } = (body ?? {}) as Partial<Record<keyof Order, unknown>>;
  const { number, expires } = (card ?? {}) as Partial<Record<keyof Card, unknown>>;
  const texts = [item, currency, number, expires].every((value) => typeof value === "string" && value !== "");
  if (!texts || !Number.isSafeInteger(amount) || (amount as number) < 1) {
    throw new Refusal(400, "expected item, amount, currency and card with number and expires");
  }
  const kept = { item, amount, currency, card: { number, expires } } as Pick<
    Order,
    "item" | "amount" | "currency" | "card"
  >;
  return { id: randomUUID(), ...kept, state: "unpaid" };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * A gateway may end a kept connection at the moment in which it is used again (RFC 9112, 9.3.1). Then the payment is sent once
 * more, by a connection of its own: nothing is charged twice under one reference.
 * @returns the gateway's answer. Rejects where none can be had
 */
function charge(order: Order, agent = payments): Promise<Answer> {
  const { id, amount, currency, card } = order;
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(`${gateway}/charges`, { method: "POST", headers, agent, timeout: 20_000 });
    sent.once("timeout", () => sent.destroy(new Error("no answer in 20 s")));
    sent.once("error", (error: NodeJS.ErrnoException) => {
      if (sent.reusedSocket && error.code === "ECONNRESET") resolve(charge(order, anew));
      else reject(error);
    });
    sent.once("response", (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    sent.end(JSON.stringify({ reference: id, amount, currency, card }));
  });
}

/** Pays an order. @throws Refusal where the gateway can't be reached or answers neither yes nor no */
async function pay(order: Order): Promise<Order> {
  const { status, body } = await charge(order).catch((error: unknown) => {
    log({ order: order.id, payment: error instanceof Error ? error.message : "failed" });
    throw new Refusal(502, "the payment could not be made");
  });
  if (status === 402) return keep({ ...order, state: "declined" });
  if (status !== 201) {
    log({ order: order.id, payment: `the gateway answered ${status}` });
    throw new Refusal(502, "the payment could not be made");
  }
  const { id } = JSON.parse(body) as { readonly id: string };
  return keep({ ...order, state: "paid", charge: id });
}

async function serve(asked: IncomingMessage): Promise<{ readonly status: number; readonly body: unknown }> {
  const { method = "", url = "" } = asked;
  if (method === "GET" && url === "/health") return { status: 200, body: { orders: orders.size } };
  if (method === "POST" && url === "/orders") {
    const order = keep(orderOf(await read(asked)));
    log({ order });
    const ended = await pay(order);
    return { status: ended.state === "paid" ? 201 : 402, body: ended };
  }
  const order = orders.get(/^\/orders\/([0-9a-f-]{36})$/.exec(url)?.[1] ?? "");
  if (method === "GET" && order !== undefined) return { status: 200, body: order };
  throw new Refusal(404, "there is nothing here");
}

async function answer(asked: IncomingMessage, response: ServerResponse): Promise<void> {
  let result: { readonly status: number; readonly body: unknown };
  try {
    result = await serve(asked);
  } catch (error) {
    if (!(error instanceof Refusal)) log({ error: error instanceof Error ? error.message : "failed" });
    result =
      error instanceof Refusal
        ? { status: error.status, body: { error: error.message } }
        : { status: 500, body: { error: "the request could not be served" } };
  }
  response.writeHead(result.status, { "content-type": "application/json" });
  response.end(JSON.stringify(result.body));
}

function log(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const server = createServer((asked, response) => void answer(asked, response));
server.listen(port);
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => server.close(() => process.exit(0)));
