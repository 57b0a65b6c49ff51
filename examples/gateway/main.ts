import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";

/**
 * A payment gateway, as small as one can be: it charges every card whose number is one, and remembers it. What stands
 * in the place of a number (a token that nobody opened) is refused. It has no accounts, no limits and no bank.
 *
 * `POST /charges` with `{ reference, amount, currency, card: { number, expires } }`: 201, 402 where the card is
 * declined, 400 where it is no charge. The same reference is never charged twice. `GET /charges/<id>` shows a charge.
 * Card numbers are shown by their first six and last four digits only (PCI DSS 3.4.1).
 */

interface Charge {
  readonly id: string;
  readonly reference: string;
  readonly amount: number;
  readonly currency: string;
  readonly number: string;
}

/** A request that can't be served as it is; the message is for whoever sent it. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const port = Number(process.env["PORT"] ?? "443");
const tls = process.env["TLS_FOLDER"] ?? "/tls";
const longestBody = 65_536;
const mostCharges = 1_000;

/** Charges by reference; the oldest go where there are too many. */
const charges = new Map<string, Charge>();

/** The check digit of ISO/IEC 7812-1. */
function isCardNumber(text: string): boolean {
  if (!/^\d{13,19}$/.test(text)) return false;
  const digits = Array.from(text, Number).reverse();
  const sum = digits.reduce((total, digit, at) => {
    const value = at % 2 === 0 ? digit : digit * 2;
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
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

/** @throws Refusal where it is no charge, or the card is declined */
function chargeOf(body: unknown): Charge {
  const { reference, amount, currency, card } = (body ?? {}) as Record<string, unknown>;
  const { number, expires } = (card ?? {}) as Record<string, unknown>;
  const texts = [reference, currency, number, expires].every((value) => typeof value === "string" && value !== "");
  if (!texts || !Number.isSafeInteger(amount) || (amount as number) < 1) {
    throw new Refusal(400, "expected reference, amount, currency and card with number and expires");
  }
  const charge = { id: `ch_${randomUUID()}`, reference, amount, currency, number } as Charge;
  if (!/^\d+$/.test(charge.number)) throw new Refusal(400, "the card has no number");
  if (!isCardNumber(charge.number)) throw new Refusal(402, "the card is declined");
  const earlier = charges.get(charge.reference);
  if (earlier !== undefined) return earlier;
  charges.set(charge.reference, charge);
  const [oldest] = charges.keys();
  if (charges.size > mostCharges && oldest !== undefined) charges.delete(oldest);
  return charge;
}

function shown({ number, ...rest }: Charge): object {
  return {
    ...rest,
    status: "approved",
    card: `${number.slice(0, 6)}${"*".repeat(number.length - 10)}${number.slice(-4)}`,
  };
}

async function serve(asked: IncomingMessage): Promise<{ readonly status: number; readonly body: object }> {
  const { method = "", url = "" } = asked;
  if (method === "GET" && url === "/health") return { status: 200, body: { charges: charges.size } };
  if (method === "POST" && url === "/charges") {
    const body = shown(chargeOf(await read(asked)));
    process.stdout.write(`${JSON.stringify(body)}\n`);
    return { status: 201, body };
  }
  const id = /^\/charges\/(ch_[0-9a-f-]{36})$/.exec(url)?.[1];
  const charge = [...charges.values()].find((one) => one.id === id);
  if (method === "GET" && charge !== undefined) return { status: 200, body: shown(charge) };
  throw new Refusal(404, "there is nothing here");
}

async function answer(asked: IncomingMessage, response: ServerResponse): Promise<void> {
  let result: { readonly status: number; readonly body: object };
  try {
    result = await serve(asked);
  } catch (error) {
    result =
      error instanceof Refusal
        ? { status: error.status, body: { error: error.message } }
        : { status: 500, body: { error: "the request could not be served" } };
  }
  response.writeHead(result.status, { "content-type": "application/json" });
  response.end(JSON.stringify(result.body));
}

const server = createServer(
  { cert: readFileSync(`${tls}/tls.crt`), key: readFileSync(`${tls}/tls.key`), minVersion: "TLSv1.2" },
  (asked, response) => void answer(asked, response),
);
server.listen(port);
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => server.close(() => process.exit(0)));
