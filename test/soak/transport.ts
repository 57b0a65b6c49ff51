/** Cards and payments on the lab while certificates renew, pods are replaced and what they depend on goes away; overhead and throughput. */
import { spawnSync } from "node:child_process";
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Agent, request as requestHttps } from "node:https";
import { request as requestHttp, Agent as PlainAgent } from "node:http";
import { succeed, namespace } from "../lab/support/deploy.ts";
import { answered } from "../lab/support/answered.ts";
import { startEcho, stopEcho } from "../lab/support/echo-merchant.ts";
import { identityOf } from "../lab/support/identities.ts";
import { kubectl, lab, vault } from "../lab/support/lab.ts";
import { podsOf, serialOf } from "../lab/transport/certificates.ts";
import { type Doors, doors, InboundClient, OutboundClient, serviceAddress } from "../lab/transport/clients.ts";
import { killAll, readyAgain, recovered, roll } from "../lab/transport/disturbances.ts";
import { type Outcome, quantile, told, Traffic } from "../lab/transport/traffic.ts";

const all = ["overhead", "throughput", "updates", "outages", "renewals"] as const;
const { values } = parseArgs({
  options: {
    only: { type: "string", default: all.join(",") },
    rate: { type: "string", default: "100" },
    minutes: { type: "string", default: "8" },
    help: { type: "boolean" },
  },
});
function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function campaign(): Promise<void> {
  const [rate, minutes] = [Number(values.rate), Number(values.minutes)];
  if (!(rate >= 1 && rate <= 150)) throw new Error("--rate: expected 1 to 150, as one address may send 200 a second");
  if (!(minutes >= 1 && minutes <= 120)) throw new Error("--minutes: expected 1 to 120");
  const chosen = values.only.split(",");
  await succeed("up", "--yes");
  await startEcho();
  const at = await doors();
  const inbound = new InboundClient(at);
  const outbound = new OutboundClient(at);
  const token = await inbound.token();
  /** Cards in and payments out while something happens. */
  const under = async (what: string, happens: () => Promise<unknown>): Promise<void> => {
    const cards = new Traffic(rate, () => inbound.send());
    const payments = new Traffic(5, (index) => outbound.pay(token, `${what} ${process.pid} ${index}`));
    const failure = await Promise.resolve()
      .then(happens)
      .then(() => sleep(2_000))
      .then(
        () => undefined,
        (error: unknown) => String(error),
      );
    for (const [way, traffic] of Object.entries({ in: cards, out: payments })) {
      const seen = await traffic.stop();
      print(told(`${what}, ${way}`, seen));
      if (Object.keys(seen.failed).length > 0) process.exitCode = 1;
      if (seen.trouble !== undefined)
        print(`  failures from ${seen.trouble.map((s) => s.toFixed(1)).join(" s to ")} s`);
    }
    if (failure !== undefined) {
      print(`  ${what}: ${failure}`);
      process.exitCode = 1;
    }
  };
  const steps: Record<(typeof all)[number], () => Promise<unknown>> = {
    overhead: () => overhead(at, rate),
    throughput: () => throughput(at),
    updates: async () => {
      for (const part of ["tokenizer", "inbound", "outbound"]) {
        const began = performance.now();
        await under(`rolling update of ${part}`, () => roll(part));
        print(`  took ${((performance.now() - began) / 1000).toFixed(0)} s`);
      }
    },
    outages: () => outages(inbound, outbound, token),
    renewals: () =>
      under(`${minutes} minutes`, async () => {
        const pods = (await Promise.all(["inbound", "outbound", "tokenizer", "database"].map(podsOf))).flat();
        const before = await Promise.all(pods.map(serialOf));
        await sleep(minutes * 60_000);
        const after = await Promise.all(pods.map(serialOf));
        const renewed = pods.filter((_, index) => before[index] !== after[index]).length;
        print(`  ${renewed} of ${pods.length} certificates were renewed by themselves`);
      }),
  };
  try {
    for (const name of all.filter((one) => chosen.includes(one))) {
      print(`${name} (load average ${loadavg()[0]?.toFixed(1) ?? "?"})`);
      await steps[name]();
    }
  } finally {
    inbound.close();
    await stopEcho();
  }
}

const echo = JSON.stringify({ amount: 1250, card: { number: "4111111111111111" } });
const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(echo) };

/** The whole way in over a direct call of the application, and the way without HAProxy, in turns. */
async function overhead(at: Doors, rate: number): Promise<void> {
  const identity = await identityOf("inbound");
  const [tokenizer, application] = await Promise.all([
    serviceAddress("tokenizer"),
    kubectl("get", "service", "merchant", "-n", "merchant", "-o", "jsonpath={.spec.clusterIP}"),
  ]);
  const servername = `tokenshield-tokenizer.${namespace}.svc`;
  const secure = new Agent({ keepAlive: true, maxSockets: 32, servername, ...identity });
  const plain = new PlainAgent({ keepAlive: true, maxSockets: 32 });
  const inbound = new InboundClient(at);
  const outcome = ({ status }: { readonly status: number }): Outcome => (status === 200 ? undefined : `${status}`);
  const common = { method: "POST", path: "/echo", headers } as const;
  const ways: Readonly<Record<string, () => Promise<Outcome>>> = {
    direct: () => answered(requestHttp({ ...common, host: application, port: 8000, agent: plain }), echo).then(outcome),
    tokenizer: () =>
      answered(requestHttps({ ...common, host: tokenizer, port: 8080, agent: secure }), echo).then(outcome),
    whole: () => inbound.send(),
  };
  const latencies = new Map<string, number[]>(Object.keys(ways).map((way) => [way, []]));
  for (let round = 0; round < 5; round++) {
    for (const [way, send] of Object.entries(ways)) {
      const traffic = new Traffic(rate, send);
      await sleep(4_000);
      const seen = await traffic.stop();
      if (Object.keys(seen.failed).length > 0) print(told(`  ${way}`, seen));
      // The first round warms the connections up.
      if (round > 0) latencies.get(way)?.push(...seen.latencies);
    }
  }
  const figures = [...latencies].map(([way, list]) => {
    const sorted = { latencies: list.sort((one, other) => one - other) };
    return { way, p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), count: list.length };
  });
  const [direct] = figures;
  for (const { way, p50, p95, count } of figures) {
    const [over50, over95] = [p50 - (direct?.p50 ?? 0), p95 - (direct?.p95 ?? 0)].map((ms) => ms.toFixed(1));
    print(
      `${way}: ${count} requests at ${rate} a second, p50 ${p50.toFixed(2)} ms (+${over50 ?? ""}), p95 ${p95.toFixed(2)} ms (+${over95 ?? ""})`,
    );
  }
  inbound.close();
  secure.destroy();
  plain.destroy();
}

/** As many cards as pass, from so many addresses that no limit of one address counts. */
async function throughput({ authorities }: Doors): Promise<void> {
  const pods = await podsOf("inbound");
  const addresses = Array.from({ length: 40 }, (_, index) => `198.51.100.${100 + index}`);
  const ip = (verb: string): void => {
    for (const address of addresses) spawnSync("ip", ["address", verb, `${address}/32`, "dev", "lo"]);
  };
  ip("add");
  try {
    for (const connections of [8, 16, 32]) {
      const servername = `tokenshield-inbound.${namespace}.svc`;
      let [answers, limited, failed] = [0, 0, 0];
      const latencies: number[] = [];
      const began = performance.now();
      await Promise.all(
        Array.from({ length: connections }, async (_, index) => {
          const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authorities, servername });
          const host = pods[index % pods.length]?.address ?? "";
          for (let turn = 0; performance.now() - began < 8_000; turn++) {
            const localAddress = addresses[index % addresses.length];
            const where = { host, port: 8443, method: "POST", path: "/echo", headers, agent, localAddress };
            const asked = performance.now();
            const { status } = await answered(requestHttps(where), echo).catch(() => ({ status: 0 }));
            if (status === 200) {
              answers += 1;
              latencies.push(performance.now() - asked);
            } else if (status === 429) limited += 1;
            else failed += 1;
          }
          agent.destroy();
        }),
      );
      const seconds = (performance.now() - began) / 1000;
      const sorted = { latencies: latencies.sort((one, other) => one - other) };
      print(
        `${connections} connections: ${(answers / seconds).toFixed(0)} cards a second, p50 ${quantile(sorted, 0.5).toFixed(1)} ms, p95 ${quantile(sorted, 0.95).toFixed(1)} ms, ${limited} limited, ${failed} failed`,
      );
    }
  } finally {
    ip("delete");
  }
}

/** What a dependency's loss does to cards and payments, and how soon they pass again after its return. */
async function outages(inbound: InboundClient, outbound: OutboundClient, token: string): Promise<void> {
  let payments = 0;
  const cardPasses = (): Promise<boolean> =>
    inbound.send().then(
      (outcome) => outcome === undefined,
      () => false,
    );
  const paymentPasses = (): Promise<boolean> =>
    outbound.pay(token, `outage ${process.pid} ${payments++}`).then(
      (outcome) => outcome === undefined,
      () => false,
    );
  const one = async (what: string, begin: () => Promise<unknown>, over: () => Promise<unknown>): Promise<void> => {
    const cards = new Traffic(20, () => inbound.send());
    const paid = new Traffic(2, (index) => outbound.pay(token, `${what} ${process.pid} ${index}`));
    await begin();
    await over();
    const [into, out] = await Promise.all([recovered(cardPasses, 120), recovered(paymentPasses, 120)]);
    print(told(`${what}, in`, await cards.stop()));
    print(told(`${what}, out`, await paid.stop()));
    print(`  after its return: cards pass after ${into.toFixed(1)} s, payments after ${out.toFixed(1)} s`);
    if (into > 30 || out > 60) process.exitCode = 1;
  };
  await one(
    "tokenizer killed",
    () => killAll("tokenizer"),
    async () => {
      print(`  tokenizers are ready after ${(await readyAgain("tokenizer", 2)).toFixed(1)} s`);
    },
  );
  await one(
    "Vault sealed for 20 s",
    () => vault("operator", "seal"),
    async () => {
      await sleep(20_000);
      await lab(["up"]);
    },
  );
  await one(
    "database killed",
    () => killAll("database"),
    async () => {
      print(`  the group is ready after ${(await readyAgain("database", 3)).toFixed(1)} s`);
    },
  );
}

if (values.help === true) {
  process.stdout.write(
    `usage: npm run soak -- transport [--only ${all.join(",")}] [--rate N] [--minutes N]   (rate at most 150; a certificate of the lab renews within 7 minutes)\n`,
  );
} else {
  await campaign();
}
