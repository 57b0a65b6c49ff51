import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:tls";
import { Agent, request } from "undici";
import { Client, reqmod } from "../../../services/tokenizer/test/icap-client.ts";
import { namespace } from "../support/deploy.ts";
import { kubectl, vault } from "../support/lab.ts";
import type { Fault } from "./fault.ts";

const gateway = "https://gateway.payments.svc.cluster.local/pay";
const servername = `tokenshield-tokenizer.${namespace}.svc`;
const nothing = (): Promise<void> => Promise.resolve();

interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

const parts = ["inbound", "outbound", "dashboard"] as const;
type Caller = (typeof parts)[number];
const identities = new Map<Caller, Identity>();

/** Gets the certificates, as the agents beside the parts do, before Vault is disturbed. They are good for ten minutes. */
export async function prepareTraffic(): Promise<void> {
  for (const part of parts) {
    const name = `common_name=tokenshield-${part}.${namespace}.svc`;
    const { data } = JSON.parse(
      await vault("write", "-format=json", `tokenshield-lab-pki-acme/issue/${part}`, name, "ttl=10m"),
    ) as { data: { certificate: string; private_key: string; ca_chain: readonly string[] } };
    const ca = data.ca_chain.join("\n");
    identities.set(part, { cert: `${data.certificate}\n${ca}`, key: data.private_key, ca });
  }
}

function identityOf(part: Caller): Identity {
  const found = identities.get(part);
  if (found === undefined) throw new Error("prepareTraffic() comes first");
  return found;
}

const serviceAddress = (): Promise<string> =>
  kubectl("get", "service", "tokenshield-tokenizer", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}");

/** One request, many times. */
interface Sent {
  readonly port: number;
  readonly path: string;
  readonly body?: string;
  readonly apiKey?: string;
}

/** Requests under way at the same time. */
const together = 10;

/** Sends a request as one of the tenant's parts, ten at a time, and returns how often each status came. */
export async function send(
  part: "inbound" | "dashboard",
  count: number,
  { port, path, body, apiKey }: Sent,
): Promise<ReadonlyMap<number, number>> {
  const dispatcher = new Agent({ connect: { ...identityOf(part), servername }, connections: together });
  const url = `https://${await serviceAddress()}:${port}${path}`;
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...(apiKey === undefined ? {} : { "x-api-key": apiKey }),
  };
  const statuses = new Map<number, number>();
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const method = body === undefined ? "GET" : "POST";
      const answer = await request(url, { dispatcher, method, headers, ...(body === undefined ? {} : { body }) });
      await answer.body.dump();
      statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: together }, worker));
  await dispatcher.destroy();
  return statuses;
}

/** Somebody tries keys that nobody has. */
export const loginsRefused: Fault = {
  made: "60 calls with an API key that nobody has",
  undone: "none more; they leave the window of 5 minutes",
  alerts: [{ alert: "LoginsRefused", labels: { tenant: "acme" }, fires: 100, ends: 400 }],
  make: async () => {
    await send("dashboard", 60, { port: 8090, path: "/api/v1/tokens", apiKey: "tsk_nobody_has_this_key" });
  },
  undo: nothing,
};

/** Somebody guesses tokens on the way to the gateway. */
export const unknownTokens: Fault = {
  made: "150 tokens that nobody has, in bodies for the gateway",
  undone: "none more; they leave the window of 10 minutes",
  alerts: [{ alert: "UnknownTokensAsked", labels: { tenant: "acme", source: "icap" }, fires: 100, ends: 700 }],
  make: async () => {
    const socket = connect({ host: await serviceAddress(), port: 1344, servername, ...identityOf("outbound") });
    await once(socket, "secureConnect");
    const squid = new Client(socket);
    for (let asked = 0; asked < 150; asked += 1) {
      const body = JSON.stringify({ card: `tok_${randomBytes(32).toString("base64url")}=` });
      await squid.ask(reqmod(body, undefined, undefined, gateway));
    }
    squid.end();
  },
  undo: nothing,
};

/** A client sends what can't be searched for card numbers. */
export const trafficRefused: Fault = {
  made: "900 orders that are no JSON",
  undone: "none more; they leave the window of 10 minutes",
  alerts: [{ alert: "CardTrafficRefused", labels: { tenant: "acme", reason: "parse" }, fires: 160, ends: 700 }],
  make: async () => {
    const statuses = await send("inbound", 900, { port: 8080, path: "/orders", body: '{"card": {"number": ' });
    if (statuses.has(200) || statuses.has(201)) throw new Error("what is no JSON was let through");
  },
  undo: nothing,
};
