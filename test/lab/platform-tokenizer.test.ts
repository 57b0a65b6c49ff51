import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { Agent, request } from "undici";
import { Client, reqmod } from "../../services/tokenizer/test/icap-client.ts";
import { namespace, usePlatform } from "./support/deploy.ts";
import { startEcho, stopEcho } from "./support/echo-merchant.ts";
import { type Identity, identityOf } from "./support/identities.ts";
import { eventually, kubectl, useLab, vault } from "./support/lab.ts";

const service = "tokenshield-tokenizer";
const pan = "4111111111111111";
const gateway = "https://gateway.payments.svc.cluster.local/pay";

/** The platform stays up for the suite that follows, which takes it down. */
describe("the tokenizer on the lab", function () {
  useLab();

  let address = "";
  let identities: Readonly<Record<"inbound" | "outbound" | "dashboard", Identity>>;
  const agents: Agent[] = [];

  const servername = `${service}.${namespace}.svc`;
  const agentOf = (identity: Identity | Pick<Identity, "ca">): Agent => {
    const agent = new Agent({ connect: { ...identity, servername, timeout: 5000 }, connections: 8 });
    agents.push(agent);
    return agent;
  };
  const call = async (
    agent: Agent,
    port: number,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly text: string }> => {
    const answer = await request(`https://${address}:${port}${path}`, {
      dispatcher: agent,
      method: body === undefined ? "GET" : "POST",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  const icap = async (identity: Identity): Promise<TLSSocket> => {
    const socket = connect({ host: address, port: 1344, servername, ...identity });
    await once(socket, "secureConnect");
    return socket;
  };

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    await startEcho();
    address = await kubectl("get", "service", service, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}");
    const [inbound, outbound, dashboard] = await Promise.all(
      ["inbound", "outbound", "dashboard"].map((part) => identityOf(part)),
    );
    assert.ok(inbound !== undefined && outbound !== undefined && dashboard !== undefined);
    identities = { inbound, outbound, dashboard };
  });

  after(async function () {
    this.timeout(300_000);
    for (const agent of agents) await agent.destroy();
    await stopEcho();
  });

  it("puts a token in the place of a card number, and the number back on its way to the gateway", async () => {
    const sent = { amount: 1250, card: { number: pan } };
    const inbound = await call(agentOf(identities.inbound), 8080, "/orders", sent);
    assert.equal(inbound.status, 200, inbound.text);
    const seen = JSON.parse(inbound.text) as { amount: number; card: { number: string } };
    assert.match(seen.card.number, /^tok_[A-Za-z0-9_-]{43}=$/, "what the application got");
    assert.equal(seen.amount, 1250);

    const squid = new Client(await icap(identities.outbound));
    const answer = await squid.ask(reqmod(JSON.stringify(seen), undefined, undefined, gateway));
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body.toString()), sent, "what the gateway gets");
    const elsewhere = await squid.ask(reqmod(JSON.stringify(seen), undefined, undefined, "https://other.example/pay"));
    assert.match(elsewhere.head, /^HTTP\/1\.1 403 /);
    assert.ok(!elsewhere.body.includes(pan));
    squid.end();
  });

  it("serves each card port to the proxy that it is for, and to nobody else", async () => {
    await assert.rejects(call(agentOf(identities.outbound), 8080, "/orders", { card: pan }));
    await assert.rejects(call(agentOf({ ca: identities.inbound.ca }), 8080, "/orders", { card: pan }));
    const squid = new Client(await icap(identities.inbound));
    await assert.rejects(squid.ask(reqmod("{}", undefined, undefined, gateway)));
    const { status } = await call(agentOf({ ca: identities.inbound.ca }), 8090, "/api/v1/version");
    assert.equal(status, 403);
  });

  it("knows the platform's clients by the keys that Vault delivers, and reveals to none of them", async () => {
    const agent = agentOf(identities.dashboard);
    const key = (await vault("kv", "get", "-mount=tokenshield-lab", "-field=API_KEY", "tenants/acme/api_cli")).trim();
    const headers = { "x-api-key": key };
    const stored = await call(agent, 8090, "/api/v1/tokenize", { items: [{ card_number: pan }] }, headers);
    assert.equal(stored.status, 200, stored.text);
    const token = (JSON.parse(stored.text) as { results: readonly { token: string }[] }).results[0]?.token ?? "";
    const got = await call(agent, 8090, `/api/v1/tokens/${token}`, undefined, headers);
    assert.equal(got.status, 200, got.text);
    assert.ok(!got.text.includes(pan));
    const body = { tokens: [token], purpose: "a test of rights" };
    assert.equal((await call(agent, 8090, "/api/v1/detokenize", body, headers)).status, 403);
    assert.equal((await call(agent, 8090, "/api/v1/stats", undefined, { "x-api-key": "x".repeat(40) })).status, 401);
  });

  it("has no secret in its pods' environments, arguments or logs", async () => {
    const password = (
      await vault("kv", "get", "-mount=tokenshield-lab", "-field=password", "tenants/acme/database_credentials")
    ).trim();
    assert.ok(password.length >= 12);
    const places = {
      objects: await kubectl("get", "deployments,pods,configmaps,replicasets", "-n", namespace, "-o", "json"),
      environment: await kubectl(
        ...["exec", `deployment/${service}`, "-n", namespace, "-c", "tokenizer", "--"],
        ...["/bin/node", "-p", "require('node:fs').readFileSync('/proc/1/environ', 'latin1')"],
      ),
      log: await kubectl("logs", "-n", namespace, "-l", "tokenization.io/role=tokenizer", "-c", "tokenizer"),
    };
    for (const [place, text] of Object.entries(places)) {
      assert.notEqual(text, "", place);
      for (const secret of [password, pan]) assert.ok(!text.includes(secret), place);
    }
  });

  /** What a file of the first pod's container says, read by the only program that is there. */
  const inside = (expression: string): Promise<string> =>
    kubectl(
      ...["exec", `deployment/${service}`, "-n", namespace, "-c", "tokenizer", "--"],
      ...["/bin/node", "-p", expression],
    );

  it("makes no core dump, as its memory holds card numbers and keys", async () => {
    const limits = await inside("require('node:fs').readFileSync('/proc/1/limits', 'latin1')");
    assert.match(limits, /^Max core file size +1 +1 /m);
  });

  it("runs as a user without rights, in an image without a shell that it can't write to (defect 55)", async () => {
    const status = await inside("require('node:fs').readFileSync('/proc/1/status', 'latin1')");
    assert.match(status, /^Uid:\t1000\t1000\t1000\t1000$/m);
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) assert.match(status, new RegExp(`^${set}:\\t0{16}$`, "m"));
    const shells = "['/bin/sh', '/bin/bash', '/usr/bin/env'].filter(require('node:fs').existsSync).length";
    assert.equal((await inside(shells)).trim(), "0");
    const write = "try { require('node:fs').writeFileSync('/app/x', ''); 'written' } catch (error) { error.code }";
    assert.equal((await inside(write)).trim(), "EROFS");
  });

  it("answers every request while its pods are replaced one by one", async function () {
    this.timeout(120_000);
    const agent = agentOf(identities.inbound);
    const load = { goes: true };
    const failed: string[] = [];
    let answered = 0;
    const workers = Array.from({ length: 4 }, async () => {
      while (load.goes) {
        try {
          const { status, text } = await call(agent, 8080, "/orders", { card: pan });
          if (status === 200) answered += 1;
          else failed.push(`${status} ${text}`);
        } catch (error) {
          failed.push(String(error));
        }
        await sleep(20);
      }
    });
    await kubectl("rollout", "restart", `deployment/${service}`, "-n", namespace);
    await kubectl("rollout", "status", `deployment/${service}`, "-n", namespace, "--timeout=110s");
    // The last of the old ones serves on until it is known that it goes.
    const pods = await eventually(
      () => kubectl("get", "pods", "-n", namespace, "-l", "tokenization.io/role=tokenizer", "-o", "name"),
      (names) => names.trim().split("\n").length === 2,
    );
    load.goes = false;
    await Promise.all(workers);
    assert.equal(pods.trim().split("\n").length, 2);
    assert.ok(answered > 100, `${answered} answers`);
    assert.deepEqual(failed, []);
  });
});
