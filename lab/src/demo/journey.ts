import { Resolver } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { LabError } from "../errors.ts";
import { type Answer, answerTo } from "../https.ts";
import { network } from "../network.ts";
import { waitUntil } from "../wait.ts";
import { gateway, merchant } from "./objects.ts";

/** A number that no card has: Visa's for tests. */
export const testCard = "4111111111111111";

/** What each hop saw of the card. */
export interface Journey {
  readonly order: string;
  /** What the client sent, shown by its first six and last four digits. */
  readonly client: string;
  /** What the merchant keeps. */
  readonly merchant: string;
  /** What the gateway charged, as it shows it. */
  readonly gateway: string;
  /** What the client was answered before its order was taken: statuses, or that there was no answer. */
  readonly refusals: readonly string[];
}

interface Kept {
  readonly id: string;
  readonly card: { readonly number: string };
  readonly charge?: string;
}

/** First six and last four digits, the most that may be shown (PCI DSS 3.4.1). */
export const masked = (number: string): string =>
  `${number.slice(0, 6)}${"*".repeat(Math.max(0, number.length - 10))}${number.slice(-4)}`;

const token = /^(tok_[A-Za-z0-9_-]{43}=|9999\d{12})$/;

/** Where the client sends its card, and whom each server is verified by. */
export interface JourneyArgs {
  /** The platform's address for card numbers. */
  readonly ingressUrl: string;
  /** What clients of the platform trust, PEM. */
  readonly caBundle: string;
  /** What clients of the gateway trust, PEM. */
  readonly gatewayCa: string;
}

/**
 * Sends an order with a card through the platform, as a client does, and asks merchant and gateway what they saw.
 *
 * @param number a card number that passes the check; only its first six and last four digits are ever shown
 * @throws LabError DEMO_FAILED if the order isn't paid, if the merchant saw anything but a token, or the gateway anything
 *   but the card
 */
export async function sendCard(
  { ingressUrl, caBundle, gatewayCa }: JourneyArgs,
  number: string = testCard,
): Promise<Journey> {
  const card = { number, expires: "12/30" };
  const { order, refusals } = await place(`${ingressUrl}/orders`, caBundle, {
    item: "tea",
    amount: 1250,
    currency: "EUR",
    card,
  });
  const kept = await shown<Kept>("the merchant", `${merchant.url}/orders/${order.id}`);
  const charge = await shown<{ readonly card: string }>(
    "the gateway",
    `https://${gateway.host}/charges/${kept.charge ?? ""}`,
    gatewayCa,
  );
  if (!token.test(kept.card.number)) throw failed(`the merchant keeps what is no token: ${masked(kept.card.number)}`);
  if (charge.card !== masked(number)) throw failed(`the gateway charged another card: ${charge.card}`);
  return { order: order.id, client: masked(number), merchant: kept.card.number, gateway: charge.card, refusals };
}

const failed = (why: string): LabError =>
  new LabError("DEMO_FAILED", `The test card did not travel as it should: ${why}`);

/** How long the way may be out of service: proxies find new pods within seconds. */
const patience = 30_000;

/** A client's retry: only what says by 502 or 503 that nothing was done, or can't be reached, is asked again. */
async function place(
  url: string,
  ca: string,
  body: object,
): Promise<{ readonly order: Kept; readonly refusals: readonly string[] }> {
  const answers: (Answer | Error)[] = [];
  await waitUntil(
    async () => {
      const answer = await call(url, ca, body).catch((error: unknown) => error as Error);
      answers.push(answer);
      return !(answer instanceof Error) && ![502, 503].includes(answer.status);
    },
    patience,
    500,
  );
  const answer = answers.pop();
  if (answer === undefined || answer instanceof Error) throw failed(`${url}: ${answer?.message ?? "no answer"}`);
  if (answer.status !== 201) throw failed(`${url} answers ${answer.status}: ${answer.body.slice(0, 200).trim()}`);
  const refusals = answers.map((one) => (one instanceof Error ? one.message : String(one.status)));
  return { order: JSON.parse(answer.body) as Kept, refusals };
}

/**
 * Waits until the Services of merchant and gateway lead to their pods. A rollout is over before kube-proxy has heard of
 * it, and until then a Service without pods refuses every connection.
 *
 * @param gatewayCa what clients of the gateway trust, PEM
 * @throws LabError DEMO_FAILED if one doesn't within half a minute
 */
export async function untilServed(gatewayCa: string): Promise<void> {
  const healths = [
    { url: `${merchant.url}/health`, ca: undefined },
    { url: `https://${gateway.host}/health`, ca: gatewayCa },
  ];
  for (const { url, ca } of healths) {
    const answers = (): Promise<boolean> =>
      call(url, ca).then(
        ({ status }) => status === 200,
        () => false,
      );
    if (!(await waitUntil(answers, patience, 100))) throw failed(`${url} has not answered in half a minute`);
  }
}

async function shown<Body>(who: string, url: string, ca?: string): Promise<Body> {
  const { status, body } = await call(url, ca).catch((error: unknown) => {
    throw failed(`${who} can't be asked: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (status !== 200) throw failed(`${who} answers ${status} to the question what it saw`);
  return JSON.parse(body) as Body;
}

/** Names are those of the cluster, so its DNS is asked. */
const lookup: LookupFunction = (name, { all }, callback) => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([network.dnsService]);
  resolver.resolve4(name.endsWith(network.domain) ? name : `${name}.${network.domain}`).then(
    (addresses) => {
      const found = addresses.map((address) => ({ address, family: 4 }));
      if (all === true) callback(null, found);
      else callback(null, found[0]?.address ?? "", 4);
    },
    (error: unknown) => {
      callback(error as NodeJS.ErrnoException, []);
    },
  );
};

async function call(url: string, ca: string | undefined, body?: object): Promise<Answer> {
  const options = {
    method: body === undefined ? "GET" : "POST",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    agent: false as const,
    lookup,
    timeout: 30_000,
  };
  const sent = url.startsWith("https:")
    ? requestHttps(url, { ...options, ca, minVersion: "TLSv1.2" })
    : requestHttp(url, options);
  return answerTo(sent, url, body);
}
