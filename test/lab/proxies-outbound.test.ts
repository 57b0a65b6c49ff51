import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type BumpArgs, bumpParameters } from "../../bin/components/vault/bump.js";
import { type Platform, startPlatform, tenant } from "../../services/tokenizer/test/lab/platform.ts";
import { freePort, needServers } from "../../services/tokenizer/test/lab/servers.ts";
import { ServiceProcess } from "../../services/tokenizer/test/lab/service-process.ts";
import { type Issued, issue, makeSigner, type SigningAuthority } from "./support/authority.ts";
import type { ChrootProcess } from "./support/chroot.ts";
import type { Answered } from "./support/answered.ts";
import {
  type Asked,
  over,
  secure as secureBy,
  send,
  tunnel as tunnelBy,
  type Tunnel,
} from "./support/connect-client.ts";
import { certifyPod, egressMount, makeEgressAuthority, renewAuthority } from "./support/egress-authority.ts";
import { startEgressPod } from "./support/egress-pod.ts";
import { eventually } from "./support/lab.ts";
import { newToken } from "./support/new-token.ts";
import { PodFolder, type TestServer, testServer } from "./support/proxy-processes.ts";

const card = "4111111111111111";

const openssl = (words: readonly string[], input: string): string =>
  execFileSync("openssl", words, { input, encoding: "utf8" });

describe("Squid on the way to the gateways", function () {
  let platform: Platform;
  let authority: SigningAuthority;
  let gatewayAuthority: SigningAuthority;
  let tokenizer: ServiceProcess;
  let pod: PodFolder;
  let squid: ChrootProcess;
  let door: ChrootProcess;
  let port: number;
  let metrics: number;
  let figures: number;
  let trusted: string;
  let token: string;
  let signing: BumpArgs;
  /** What was started, to be ended in turn. */
  const ends: (() => unknown)[] = [];
  const gateways = new Map<string, TestServer>();

  const gateway = (name: string): TestServer => {
    const found = gateways.get(name);
    assert.ok(found !== undefined, name);
    return found;
  };

  const tunnel = (target: string): Promise<Tunnel> => tunnelBy(port, target);
  const secure = (asked: Asked): Promise<TLSSocket> => secureBy(port, trusted, asked);

  /** A request of the application, as any client with a proxy sends it. */
  const ask = async (asked: Asked): Promise<Answered> => {
    const socket = await secure(asked);
    try {
      return await send(over(socket), asked);
    } finally {
      socket.destroy();
    }
  };

  const pay = (name = "good.test", body = JSON.stringify({ card_number: token })): Promise<Answered> =>
    ask({ host: name, port: gateway(name).port, body });

  const begin = async (name: string, certificate: Issued): Promise<void> => {
    const server = await testServer((got, response) => {
      response.end(got.body.includes("echo") ? got.body : JSON.stringify({ paid: true, length: got.body.length }));
    }, certificate);
    gateways.set(name, server);
    ends.push(() => server.stop());
  };

  before(async function () {
    needServers(this);
    this.timeout(600_000);
    platform = await startPlatform(this);
    ends.push(() => platform.stop());
    authority = platform.mysql.authority;
    gatewayAuthority = makeSigner("gateways");
    await begin("good.test", issue(gatewayAuthority, "good.test"));
    await begin("other.test", issue(gatewayAuthority, "other.test"));
    await begin("expired.test", issue(gatewayAuthority, "expired.test", "expired"));
    await begin("foreign.test", issue(makeSigner("foreign"), "foreign.test"));
    await begin("misnamed.test", issue(gatewayAuthority, "elsewhere.test"));
    pod = new PodFolder("outbound");
    ends.push(() => {
      pod.remove();
    });
    signing = { commonName: "TokenShield lab acme egress", minutes: 60, gateways: [...gateways.keys()] };
    const egress = await makeEgressAuthority(platform, signing);
    trusted = egress.certificate;
    const agent = await certifyPod(platform, pod, signing, egress.token);
    ends.push(() => agent.stop());
    // Reachable, but on no list.
    await begin("unlisted.test", issue(gatewayAuthority, "unlisted.test"));
    const listed = [...gateways].filter(([host]) => host !== "unlisted.test");
    tokenizer = await ServiceProcess.prepare(platform, {
      TENANT_ID: tenant,
      ICAP_PEERS: "outbound.test",
      EGRESS_DESTINATIONS: listed.map(([host, { port: at }]) => `https://${host}:${at}`).join(","),
    });
    ends.push(() => tokenizer.remove());
    assert.equal(await tokenizer.start(), "ready");
    token = await newToken(tokenizer, card);
    port = await freePort();
    metrics = await freePort();
    figures = await freePort();
    pod.certify(issue(authority, "outbound.test"), authority.certificate);
    ({ squid, door } = await startEgressPod(pod, {
      ports: { connect: port, metrics, figures },
      gateways: listed.map(([host, { port: at }]) => ({ host, port: at })),
      hosts: [...gateways.keys()],
      gatewayAuthority: gatewayAuthority.certificate,
      icap: tokenizer.ports.icap,
    }));
    ends.push(
      () => squid.stop(),
      () => door.stop(),
    );
  });

  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  it("puts the card number in the place of its token, for a gateway on the list", async () => {
    const answer = await pay();
    assert.equal(answer.status, 200, `${answer.body}\n${squid.printed}`);
    assert.deepEqual(JSON.parse(gateway("good.test").got.at(-1)?.body ?? ""), { card_number: card });
  });

  it("puts tokens in the place of card numbers that a gateway answers with", async () => {
    const answer = await pay("good.test", JSON.stringify({ echo: true, card_number: token }));
    assert.equal(answer.status, 200, answer.body);
    assert.ok(!answer.body.includes(card), "the application gets no card number back");
    assert.match(answer.body, /tok_/);
  });

  it("shows the application a certificate of an authority that can sign for the gateways alone", async () => {
    const socket = await secure({ host: "good.test", port: gateway("good.test").port });
    const leaf = socket.getPeerX509Certificate();
    const shown = leaf?.issuerCertificate;
    socket.destroy();
    assert.match(String(leaf?.subjectAltName), /^DNS:good\.test$/);
    assert.equal(shown?.subject, `CN=${signing.commonName}`);
    const text = openssl(["x509", "-noout", "-text"], String(shown));
    assert.match(text, /CA:TRUE, pathlen:0/);
    const constraints = /Name Constraints[^]*?Permitted:\n((?: +DNS:.*\n)+)/.exec(text)?.[1] ?? "";
    assert.deepEqual([...constraints.matchAll(/DNS:(.*)/g)].map(([, name]) => name).sort(), [
      "expired.test",
      "foreign.test",
      "good.test",
      "misnamed.test",
      "other.test",
    ]);
  });

  it("can't have an authority for any other name, or for longer, from Vault", async () => {
    const csr = pod.read("bump", "request.pem");
    const own = bumpParameters(signing);
    const sign = async (parameters: object): Promise<number> => {
      const answer = await fetch(`${platform.vault.address}/v1/${egressMount}/root/sign-intermediate`, {
        method: "POST",
        headers: { "x-vault-token": pod.read("agent", "token") },
        body: JSON.stringify(parameters),
      });
      await answer.text();
      return answer.status;
    };
    assert.equal(await sign({ csr, ...own }), 200);
    const unconstrained = Object.fromEntries(Object.entries(own).filter(([name]) => name !== "permitted_dns_domains"));
    for (const wrong of [
      unconstrained,
      { ...own, permitted_dns_domains: "evil.test" },
      { ...own, ttl: "8760h" },
      { ...own, max_path_length: "1" },
      { ...own, use_csr_values: "true" },
    ]) {
      assert.equal(await sign({ csr, ...wrong }), 403, JSON.stringify(wrong));
    }
  });

  it("refuses every other place with 403, and tells nothing of itself", async () => {
    const { port: at } = gateway("unlisted.test");
    const inside = `127.0.0.1:${gateway("good.test").port}`;
    const targets = [`unlisted.test:${at}`, `good.test:${at}`, inside, "localhost:22"];
    for (const target of targets) {
      const { status, said } = await tunnel(target);
      assert.equal(status, 403, target);
      assert.doesNotMatch(said, /7\.7|\/\d+\.\d+|tokenshield|127\.0\.0\.1|unlisted|cache|via/i);
    }
    assert.deepEqual(gateway("unlisted.test").got, []);
  });

  it("refuses plain HTTP, to gateways too", async () => {
    const before = gateway("good.test").got.length;
    for (const path of [`http://good.test:${gateway("good.test").port}/pay`, "http://127.0.0.1/", "/"]) {
      const host = URL.canParse(path) ? new URL(path).host : "x";
      const status = await new Promise((resolve, reject) => {
        const sent = httpRequest(
          { host: "127.0.0.1", port, method: "POST", path, headers: { host }, agent: false },
          (response) => {
            response.resume();
            resolve(response.statusCode);
          },
        );
        sent.once("error", reject);
        sent.end(token);
      });
      assert.ok(status === 403 || status === 400, `${path}: ${String(status)}`);
    }
    assert.equal(gateway("good.test").got.length, before);
  });

  it("opens no tunnel for what isn't TLS, and none for another name in the greeting", async () => {
    const before = gateway("good.test").got.length;
    const { port: at } = gateway("good.test");
    const { status, socket } = await tunnel(`good.test:${at}`);
    assert.equal(status, 200);
    const heard = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (piece: Buffer) => (text += piece.toString()));
      socket.once("close", () => {
        resolve(text);
      });
      socket.once("error", () => {
        resolve(text);
      });
    });
    socket.write(`POST /pay HTTP/1.1\r\nHost: good.test:${at}\r\nContent-Length: 2\r\n\r\n{}`);
    assert.doesNotMatch(await heard, /paid/);
    await assert.rejects(secure({ host: "good.test", port: at, servername: "unlisted.test" }));
    assert.equal(gateway("good.test").got.length, before);
  });

  it("sends nothing to another gateway than the one that was asked for", async () => {
    const before = gateway("good.test").got.length;
    const { port: at } = gateway("good.test");
    const answer = await ask({ host: "good.test", port: at, headers: { host: "unlisted.test" }, body: token });
    assert.notEqual(answer.status, 200);
    assert.equal(gateway("good.test").got.length, before);
    assert.deepEqual(gateway("unlisted.test").got, []);
  });

  for (const name of ["expired.test", "foreign.test", "misnamed.test"]) {
    it(`refuses a gateway whose certificate is wrong: ${name.replace(".test", "")}`, async () => {
      const result = await pay(name).then(
        ({ status }) => status,
        () => "no connection",
      );
      assert.ok(result === 503 || result === "no connection", `${result}`);
      assert.deepEqual(gateway(name).got, [], "nothing reached it");
      const said = new RegExp(`"host":"${name}".*"error":"ERR_SECURE_CONNECT_FAIL`);
      const log = await eventually(
        () => Promise.resolve(squid.printed),
        (text) => said.test(text),
        5_000,
      );
      assert.match(log, said);
    });
  }

  it("carries bodies of 10 MiB, and many requests on a connection, which it ends before its gateway does", async () => {
    const { port: at } = gateway("good.test");
    const rest = JSON.stringify({ filler: "", card_number: token });
    const filler = "x".repeat(10 * 2 ** 20 - rest.length);
    const body = JSON.stringify({ filler, card_number: token });
    const seen = gateway("good.test").got.length;
    for (const headers of [{}, { "transfer-encoding": "chunked" }]) {
      const large = await ask({ host: "good.test", port: at, headers, body });
      assert.equal(large.status, 200, large.body);
      assert.equal(gateway("good.test").got.at(-1)?.body, JSON.stringify({ filler, card_number: card }));
    }
    const larger = await ask({ host: "good.test", port: at, body: `${body} ` }).then(({ status }) => status, String);
    assert.notEqual(larger, 200, "a byte more is too much");
    assert.equal(gateway("good.test").got.length, seen + 2);
    const chunked = await ask({
      host: "good.test",
      port: at,
      headers: { "transfer-encoding": "chunked" },
      body: JSON.stringify({ card_number: token }),
    });
    assert.equal(chunked.status, 200, chunked.body);
    const socket = await secure({ host: "good.test", port: at });
    const kept = over(socket);
    for (let i = 0; i < 5; i++) {
      const body = JSON.stringify({ i, card_number: token });
      const answer = await send(kept, { host: "good.test", port: at, body });
      assert.equal(answer.status, 200);
      assert.equal(gateway("good.test").got.at(-1)?.body, JSON.stringify({ i, card_number: card }));
    }
    await once(socket, "close", { signal: AbortSignal.timeout(60_000) });
  });

  it("serves 200 tunnels at the same time", async () => {
    const where = { host: "good.test", port: gateway("good.test").port };
    const open = await Promise.all(Array.from({ length: 200 }, () => secure(where)));
    const body = JSON.stringify({ card_number: token });
    const answers = await Promise.all(open.map((socket) => send(over(socket), { ...where, body })));
    for (const socket of open) socket.destroy();
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  });

  it("forwards nothing whose token is unknown", async () => {
    const before = gateway("good.test").got.length;
    const unknown = `tok_${"A".repeat(43)}=`;
    assert.equal((await pay("good.test", JSON.stringify({ card_number: unknown }))).status, 422);
    assert.equal(gateway("good.test").got.length, before);
  });

  it("takes over a renewed authority and certificate under load, and no request fails", async () => {
    const socket = await secure({ host: "good.test", port: gateway("good.test").port });
    const before = socket.getPeerX509Certificate()?.issuerCertificate?.serialNumber;
    const serial = async (): Promise<string | undefined> => {
      const made = await secure({ host: "good.test", port: gateway("good.test").port }).catch(() => undefined);
      const number = made?.getPeerX509Certificate()?.issuerCertificate?.serialNumber;
      made?.destroy();
      return number;
    };
    const statuses: unknown[] = [];
    const load = { goes: true };
    const workers = Array.from({ length: 4 }, async () => {
      while (load.goes || statuses.length < 60) statuses.push(await pay().then(({ status }) => status, String));
    });
    await renewAuthority(platform, pod, signing);
    pod.certify(issue(authority, "outbound.test"), authority.certificate);
    const renewed = await eventually(serial, (now) => now !== undefined && now !== before, 15_000);
    load.goes = false;
    await Promise.all(workers);
    assert.notEqual(renewed, before);
    assert.ok(statuses.length >= 60, `${statuses.length} requests`);
    assert.deepEqual([...new Set(statuses)], [200], "no request failed meanwhile");
    const body = JSON.stringify({ card_number: token });
    const kept = await send(over(socket), { host: "good.test", port: gateway("good.test").port, body });
    assert.equal(kept.status, 200, "a connection from before goes on");
    socket.destroy();
    assert.equal((await pay()).status, 200);
  });

  it("forwards nothing when the tokenizer refuses its certificate: expired, foreign or of another name", async () => {
    const reads = (): number => squid.printed.split("Processing Configuration File").length;
    const show = async (certificate: Issued): Promise<void> => {
      const before = reads();
      pod.certify(certificate, authority.certificate);
      assert.ok(
        (await eventually(
          () => Promise.resolve(reads()),
          (now) => now > before,
          10_000,
        )) > before,
      );
    };
    const seen = gateway("good.test").got.length;
    const foreign = issue(makeSigner("foreign"), "outbound.test");
    for (const bad of [issue(authority, "outbound.test", "expired"), foreign, issue(authority, "inbound.test")]) {
      await show(bad);
      assert.notEqual(
        await pay().then(
          ({ status }) => status,
          () => "no connection",
        ),
        200,
      );
    }
    assert.equal(gateway("good.test").got.length, seen);
    await show(issue(authority, "outbound.test"));
    const works = (answer: Answered | undefined): boolean => answer?.status === 200;
    const again = await eventually(() => pay().catch(() => undefined), works, 45_000);
    assert.equal(again?.status, 200);
  });

  it("tells its metrics and its health by TLS", async () => {
    const read = async (path: string): Promise<Answered> => {
      const trust = { ca: authority.certificate, servername: "outbound.test" };
      const socket = connectTls({ host: "127.0.0.1", port: metrics, ...trust });
      await once(socket, "secureConnect");
      return send(over(socket), { host: "outbound.test", port: metrics, path });
    };
    assert.match(
      (await read("/metrics")).body,
      /^haproxy_server_status\{proxy="squid",server="squid",state="UP"\} 1$/m,
    );
    assert.equal((await read("/health")).status, 200);
  });

  it("forwards nothing while the tokenizer is down, and recovers by itself", async function () {
    this.timeout(120_000);
    await tokenizer.end("SIGKILL");
    const before = gateway("good.test").got.length;
    for (let i = 0; i < 3; i++) {
      const result = await pay().then(
        ({ status }) => status,
        () => "no connection",
      );
      assert.ok(result === 500 || result === 503 || result === "no connection", `${result}`);
    }
    assert.equal(gateway("good.test").got.length, before);
    assert.equal(await tokenizer.start(), "ready");
    const up = await eventually(
      () => pay().catch(() => undefined),
      (answer) => answer?.status === 200,
      60_000,
    );
    assert.equal(up?.status, 200);
  });

  it("writes a line a request, with no path, token or card number in it", async () => {
    const { port: at } = gateway("good.test");
    await ask({ host: "good.test", port: at, path: `/in-the-path/${token}?q=in-the-query`, body: "{}" });
    await ask({ host: "good.test", port: at, path: `/${card}`, headers: { "x-note": "in-the-header" }, body: "{}" });
    const lines = squid.printed.split("\n").filter((line) => line.startsWith("{"));
    const entries = lines.map((line) => JSON.parse(line) as { host: string; method: string; status: number });
    assert.ok(entries.some(({ host, method }) => host === "good.test" && method === "POST"));
    const doors = door.printed.split("\n").filter((line) => line.startsWith("{"));
    const opened = doors.map((line) => JSON.parse(line) as { gateway: string; status: number });
    assert.ok(opened.some(({ gateway: name, status }) => name === `good.test:${at}` && status === 200));
    assert.ok(opened.some(({ status }) => status === 403));
    for (const mark of [card, token, "tok_", "in-the-", "/pay"]) {
      assert.ok(!squid.printed.includes(mark), mark);
      assert.ok(!door.printed.includes(mark), mark);
    }
  });
});
