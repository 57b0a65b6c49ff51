import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, request as httpsRequest } from "node:https";
import { connect as connectHttp2 } from "node:http2";
import { request as httpRequest } from "node:http";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { agentConfig } from "../../bin/components/certificates/agent-config.js";
import { haproxyConfig, haproxyReload } from "../../bin/components/proxies/haproxy-config.js";
import { freePort, needServers } from "../../services/tokenizer/test/lab/servers.ts";
import { type Platform, startPlatform } from "../../services/tokenizer/test/lab/platform.ts";
import { ServiceProcess } from "../../services/tokenizer/test/lab/service-process.ts";
import { type Answered, answered } from "./support/answered.ts";
import { issue, makeSigner, type SigningAuthority } from "./support/authority.ts";
import { ChrootProcess, isOpen, runInChroot } from "./support/chroot.ts";
import { eventually } from "./support/lab.ts";
import {
  type Got,
  imageRoot,
  PodFolder,
  startHaproxy,
  type TestServer,
  testServer,
} from "./support/proxy-processes.ts";

const card = "4111111111111111";
const maxBody = 20_000;

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent;
  /** Another port than that of clients. */
  readonly port?: number;
  /** Looks away from HAProxy's own certificate, where a test makes it a bad one. */
  readonly insecure?: true;
}

describe("HAProxy in front of the tokenizer", function () {
  let platform: Platform;
  let authority: SigningAuthority;
  let application: TestServer;
  let tokenizer: ServiceProcess;
  let pod: PodFolder;
  let haproxy: ChrootProcess;
  let root: string;
  let vaultRoot: string;
  /** What was started, to be ended in turn. */
  const ends: (() => unknown)[] = [];
  let ports: { traffic: number; metrics: number; runtime: number };

  const ask = ({ method = "POST", path = "/pay", body = "", ...asked }: Asked): Promise<Answered> => {
    const { headers: more = {}, agent = false, port = ports.traffic, insecure } = asked;
    const trust = { servername: "inbound.test", ca: authority.certificate, rejectUnauthorized: insecure !== true };
    const headers = { "content-length": `${Buffer.byteLength(body)}`, ...more };
    return answered(httpsRequest({ host: "127.0.0.1", port, ...trust, method, path, agent, headers }), body);
  };

  const pay = (number = card, more: Asked = {}): Promise<Answered> => {
    const headers = { "content-type": "application/json", ...more.headers };
    return ask({ ...more, headers, body: JSON.stringify({ amount: 1, card_number: number }) });
  };

  /** A handshake with HAProxy. @returns the serial number of its certificate, or that it refused */
  const handshake = (options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const where = { host: "127.0.0.1", port: ports.traffic, servername: "inbound.test", ca: authority.certificate };
      const socket: TLSSocket = connectTls({ ...where, ...options }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once("error", () => {
        resolve("refused");
      });
    });

  const config = (where: { ports: typeof ports; port: number }): string =>
    haproxyConfig({
      ports: where.ports,
      tokenizer: { host: "127.0.0.1", port: where.port, name: "localhost" },
      maxBodyBytes: maxBody,
      maxConnections: 500,
      requestsPerTenSeconds: 150,
      answerSeconds: 30,
      stopSeconds: 10,
    });

  /** Has HAProxy show another certificate, the way in which its agent does it. */
  const renew = async (bundle: string): Promise<void> => {
    pod.write("certificates", "tls.pem", bundle);
    const { status, printed } = await runInChroot({
      root: vaultRoot,
      mounts: pod.mounts(),
      command: [...haproxyReload(ports.runtime).command],
      log: join(pod.path, "hook"),
    });
    assert.equal(status, 0, printed);
  };

  before(async function () {
    needServers(this);
    this.timeout(600_000);
    root = await imageRoot("ingress-proxy");
    vaultRoot = await imageRoot("vault");
    platform = await startPlatform(this);
    ends.push(() => platform.stop());
    authority = platform.mysql.authority;
    application = await testServer((got, response) => {
      response.setHeader("Server", "shop/1.0");
      response.setHeader("X-Powered-By", "shop");
      response.end(JSON.stringify({ saw: got.body }));
    });
    ends.push(() => application.stop());
    tokenizer = await ServiceProcess.prepare(platform, {
      APP_ENDPOINT: `http://127.0.0.1:${application.port}`,
      HTTP_PEERS: "inbound.test",
      TRUSTED_PROXIES: "127.0.0.1/32",
    });
    ends.push(() => tokenizer.remove());
    assert.equal(await tokenizer.start(), "ready");
    ports = { traffic: await freePort(), metrics: await freePort(), runtime: await freePort() };
    pod = new PodFolder("inbound");
    ends.push(() => {
      pod.remove();
    });
    pod.certify(issue(authority, "inbound.test"), authority.certificate);
    pod.write("settings", "haproxy.cfg", config({ ports, port: tokenizer.ports.http }));
    haproxy = await startHaproxy(root, pod, ports.traffic);
    ends.push(() => haproxy.stop());
  });

  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  it("hands a card number to the tokenizer, so that the application sees a token", async () => {
    const answer = await pay();
    assert.equal(answer.status, 200, answer.body);
    const { body } = application.got.at(-1) ?? { body: "" };
    assert.match(body, /"card_number":"tok_[A-Za-z0-9_=-]+"/);
    assert.ok(!body.includes(card));
  });

  it("speaks HTTP/2, and neither an old TLS nor none", async () => {
    const session = connectHttp2(`https://127.0.0.1:${ports.traffic}`, {
      ca: authority.certificate,
      servername: "inbound.test",
    });
    const status = await new Promise((resolve, reject) => {
      session.once("error", reject);
      session.request({ ":path": "/pay" }).once("response", (headers) => {
        resolve(headers[":status"]);
      });
    });
    session.destroy();
    assert.equal(status, 200);
    const old = await handshake({ maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "ALL@SECLEVEL=0" });
    assert.equal(old, "refused");
    assert.notEqual(await handshake({}), "refused");
    const plain = await new Promise<string>((resolve) => {
      const sent = httpRequest({ host: "127.0.0.1", port: ports.traffic, path: "/pay" }, ({ statusCode }) => {
        resolve(`${statusCode ?? 0}`);
      });
      sent.once("error", () => {
        resolve("refused");
      });
      sent.end();
    });
    assert.equal(plain, "refused");
  });

  it("refuses a body that is announced as too large, before anybody behind it sees it", async () => {
    const seen = application.got.length;
    const answer = await ask({ body: "x".repeat(maxBody + 1), headers: { "content-type": "text/plain" } });
    assert.deepEqual([answer.status, answer.body], [413, "the body is too large\n"]);
    assert.equal(application.got.length, seen);
  });

  it("refuses methods that no shop needs", async () => {
    for (const method of ["TRACE", "PROPFIND"]) assert.equal((await ask({ method })).status, 405, method);
  });

  it("puts the headers of security on every answer, and says nothing of what is behind it", async () => {
    for (const answer of [await pay(), await ask({ method: "TRACE" })]) {
      const { headers } = answer;
      assert.match(String(headers["strict-transport-security"]), /^max-age=31536000; includeSubDomains$/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["x-frame-options"], "DENY");
      assert.equal(headers["cache-control"], "no-store");
      assert.deepEqual([headers["server"], headers["x-powered-by"], headers["via"]], [undefined, undefined, undefined]);
    }
  });

  it("tells the application the client's true address, whatever the client says", async () => {
    const said = { "x-forwarded-for": "192.0.2.1", "x-forwarded-host": "evil.example", "x-request-id": card };
    assert.equal((await pay(card, { headers: said })).status, 200);
    const { headers } = application.got.at(-1) ?? ({ headers: {} } as Got);
    assert.doesNotMatch(String(headers["x-forwarded-for"]), /192\.0\.2\.1/);
    assert.doesNotMatch(String(headers["x-forwarded-host"]), /evil/);
    assert.doesNotMatch(String(headers["x-request-id"]), new RegExp(card));
  });

  it("writes a line a request, with no query, body, header or card number in it", async () => {
    const marks = ["in-the-query", "in-the-header", "in-the-agent", "in-the-body", "in-the-referer"];
    const encoded = card.replaceAll(/\d/g, "%3$&");
    const twice = encoded.replaceAll("%", "%25");
    for (const path of [`/c/${card}`, "/c/4111-1111-1111-1111/x", `/c/${encoded}`, `/c/${twice}`, "/plain/path"]) {
      await ask({
        path: `${path}?q=in-the-query&pan=${card}`,
        headers: {
          "content-type": "text/plain",
          "x-note": `in-the-header ${card}`,
          "user-agent": `in-the-agent ${card}`,
          referer: `https://x.example/in-the-referer/${card}`,
        },
        body: `in-the-body ${card}`,
      });
    }
    await ask({ method: "M4111111111111111", path: "/" });
    const lines = await eventually(
      () => Promise.resolve(haproxy.printed.split("\n").filter((line) => line.startsWith("{"))),
      (all) => all.at(-1)?.includes(`"status":405`) === true,
      3_000,
    );
    const entries = lines.map((line) => JSON.parse(line) as { path: string; status: number; method: string });
    assert.ok(entries.some(({ path, method }) => path === "/plain/path" && method === "POST"));
    assert.ok(entries.filter(({ path }) => path.startsWith("/c/*")).length >= 4);
    for (const mark of [...marks, card, "1111-1111", encoded, "%34", "M4111"]) {
      assert.ok(!haproxy.printed.includes(mark), mark);
    }
  });

  it("takes over a renewed certificate, and no connection ends", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal((await pay(card, { agent })).status, 200);
    const [before] = [await handshake({})];
    const next = issue(authority, "inbound.test");
    await renew(next.bundle);
    assert.notEqual(await handshake({}), before);
    const sockets = Object.values(agent.freeSockets).flat();
    const kept = sockets[0];
    assert.ok(kept !== undefined);
    assert.equal((await pay(card, { agent })).status, 200);
    assert.equal(Object.values(agent.freeSockets).flat()[0], kept, "the same connection");
    agent.destroy();
    const empty = new PodFolder("none");
    const { status } = await runInChroot({
      root: vaultRoot,
      mounts: { "/certificates": pod.volume("certificates") },
      command: [...haproxyReload(await freePort()).command],
      log: join(empty.path, "log"),
    });
    empty.remove();
    assert.equal(status, 0, "a hook before HAProxy's start does nothing");
  });

  it("is handed what cert-manager's driver renews in its files, by the same agent", async function () {
    this.timeout(90_000);
    const source = { kind: "files", key: "/issued/tls.key", certificate: "/issued/tls.crt" } as const;
    const config = JSON.parse(
      agentConfig({
        vaultAddress: platform.vault.address,
        ownAuthorities: "public",
        authMount: "unused",
        role: "unused",
        source,
        names: ["inbound.test"],
        leafMinutes: 60,
        reload: haproxyReload(ports.runtime),
      }),
    ) as { auto_auth: { method: object[] } };
    // A login by the pod's account needs a cluster.
    config.auto_auth.method = [{ type: "token_file", config: { token_file_path: "/agent/token" } }];
    pod.write("agent", "token", readFileSync(platform.tokenFile, "utf8"));
    pod.write("agent", "agent.json", JSON.stringify(config));
    const put = (): string => {
      const { key, certificate } = issue(authority, "inbound.test");
      pod.write("issued", "tls.key", key);
      pod.write("issued", "tls.crt", certificate);
      return new X509Certificate(certificate).serialNumber;
    };
    const first = put();
    const agent = new ChrootProcess({
      root: vaultRoot,
      mounts: { ...pod.mounts("agent", "issued"), "/dev": "/dev" },
      command: ["/bin/vault", "agent", "-config=/agent/agent.json"],
      log: join(pod.path, "agent.log"),
    });
    try {
      assert.equal(
        await eventually(
          () => handshake({}),
          (seen) => seen === first,
          15_000,
        ),
        first,
        agent.printed,
      );
      const second = put();
      assert.equal(
        await eventually(
          () => handshake({}),
          (seen) => seen === second,
          15_000,
        ),
        second,
        agent.printed,
      );
      assert.equal((await pay()).status, 200);
    } finally {
      await agent.stop();
    }
  });

  for (const [title, make] of [
    ["expired", () => issue(authority, "inbound.test", "expired")],
    ["foreign", () => issue(makeSigner("foreign"), "inbound.test")],
    ["wrongly named", () => issue(authority, "outbound.test")],
  ] as const) {
    it(`is refused by the tokenizer when its own certificate is ${title}`, async () => {
      const seen = application.got.length;
      await renew(make().bundle);
      const refused = await eventually(
        () => pay(card, { insecure: true }),
        ({ status }) => status !== 200,
        5_000,
      );
      assert.ok([502, 503].includes(refused.status), `${refused.status}`);
      const afterwards = application.got.length;
      for (let i = 0; i < 3; i++) assert.ok([502, 503].includes((await pay(card, { insecure: true })).status));
      assert.equal(application.got.length, afterwards, "nothing reached the application");
      assert.ok(afterwards - seen <= 1);
      await renew(issue(authority, "inbound.test").bundle);
      const again = await eventually(pay, ({ status }) => status === 200, 15_000);
      assert.equal(again.status, 200);
    });
  }

  it("doesn't talk to a tokenizer whose certificate has another name or another authority", async () => {
    for (const certificate of [issue(authority, "somebody"), issue(makeSigner("foreign"), "localhost")]) {
      const other = await testServer((_got, response) => response.end("leaked"), certificate);
      const pod2 = new PodFolder("misled");
      const own = { traffic: await freePort(), metrics: await freePort(), runtime: await freePort() };
      pod2.certify(issue(authority, "inbound.test"), authority.certificate);
      pod2.write("settings", "haproxy.cfg", config({ ports: own, port: other.port }));
      const misled = await startHaproxy(root, pod2, own.traffic);
      try {
        const answer = await pay(card, { port: own.traffic });
        assert.equal(answer.status, 503);
        assert.deepEqual(other.got, []);
      } finally {
        await misled.stop();
        await other.stop();
        pod2.remove();
      }
    }
  });

  it("tells its metrics and its health by TLS", async () => {
    const metrics = await ask({ method: "GET", path: "/metrics", port: ports.metrics });
    assert.match(metrics.body, /^haproxy_frontend_http_requests_total\{proxy="clients"\}/m);
    assert.equal((await ask({ method: "GET", path: "/health", port: ports.metrics })).status, 200);
    assert.equal((await ask({ method: "GET", path: "/", port: ports.metrics })).status, 404);
  });

  it("answers 503 while the tokenizer is down, and recovers by itself", async function () {
    this.timeout(60_000);
    const seen = application.got.length;
    await tokenizer.end("SIGKILL");
    const down = await pay();
    assert.equal(down.status, 503);
    assert.deepEqual([down.headers["retry-after"], down.body], ["5", "out of service, try again later\n"]);
    assert.equal(application.got.length, seen);
    assert.equal(await tokenizer.start(), "ready");
    const up = await eventually(pay, ({ status }) => status === 200, 30_000);
    assert.equal(up.status, 200);
  });

  it("lets a running request end when it is stopped", async () => {
    const slow = await testServer(
      (_got, response) => {
        setTimeout(() => response.end("slow"), 1_500);
      },
      issue(authority, "localhost"),
    );
    const pod2 = new PodFolder("stopped");
    const own = { traffic: await freePort(), metrics: await freePort(), runtime: await freePort() };
    pod2.certify(issue(authority, "inbound.test"), authority.certificate);
    pod2.write("settings", "haproxy.cfg", config({ ports: own, port: slow.port }));
    const stopping = await startHaproxy(root, pod2, own.traffic);
    try {
      const running = ask({ method: "GET", path: "/", port: own.traffic });
      await eventually(
        () => Promise.resolve(slow.got.length),
        (count) => count > 0,
        5_000,
      );
      stopping.signal("SIGUSR1");
      await eventually(
        () => isOpen(own.traffic),
        (open) => !open,
        5_000,
      );
      assert.equal(await isOpen(own.traffic), false, "nobody new is let in");
      assert.deepEqual([(await running).status, (await running).body], [200, "slow"]);
      assert.equal(await stopping.ended(), 0);
    } finally {
      await stopping.stop();
      await slow.stop();
      pod2.remove();
    }
  });

  it("sends a client away that asks too often", async () => {
    const statuses = new Set<number>();
    const many = await Promise.all(Array.from({ length: 160 }, () => ask({ method: "GET", path: "/many" })));
    for (const { status } of many) statuses.add(status);
    assert.ok(statuses.has(429), [...statuses].join(", "));
    const limited = many.find(({ status }) => status === 429);
    assert.equal(limited?.headers["retry-after"], "10");
  });
});
