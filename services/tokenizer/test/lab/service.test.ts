import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { reqmod } from "../icap-client.ts";
import { type CollectedSpan, Collector } from "../otlp.ts";
import { makeAuthority } from "./certificates.ts";
import { dump } from "./dump.ts";
import { stopAll } from "./servers.ts";
import { type Ended, ServiceProcess } from "./service-process.ts";
import { login, type Platform, startPlatform } from "./platform.ts";
import { speak } from "./speak.ts";
import { until } from "../until.ts";

const visa = "4111111111111111";
const mastercard = "5555555555554444";
const cvv = "cvv-7391";

/** Waits until the service has logged a text. */
async function said(service: ServiceProcess, text: string): Promise<void> {
  const end = performance.now() + 30_000;
  while (!service.output.includes(text)) {
    assert.ok(performance.now() < end, service.output.slice(-2000));
    await sleep(100);
  }
}

describe("the service as a process", function () {
  let platform: Platform;
  const processes: ServiceProcess[] = [];

  const prepare = async (environment?: NodeJS.ProcessEnv): Promise<ServiceProcess> => {
    const made = await ServiceProcess.prepare(platform, environment);
    processes.push(made);
    return made;
  };
  const refused = async (service: ServiceProcess): Promise<Ended> => {
    const ended = await service.start();
    assert.ok(ended !== "ready", "it must not start");
    return ended;
  };
  /** Makes an operator who may reveal; gives the header of the session. */
  const operator = async (service: ServiceProcess, username: string): Promise<Record<string, string>> => {
    const password = "Some-Password-1";
    const body = {
      username,
      email: `${username}@example.com`,
      password,
      role: "operator",
      permissions: ["tokens.reveal"],
    };
    const made = await service.call("POST", "/api/v1/users", body, {
      "x-admin-secret": "emergency-secret-of-the-process",
    });
    assert.equal(made.status, 201, made.text);
    const opened = await service.call("POST", "/api/v1/auth/login", { username, password });
    return { authorization: `Bearer ${(JSON.parse(opened.text) as { session_id: string }).session_id}` };
  };
  const store = (
    service: ServiceProcess,
    headers: Record<string, string>,
    number = visa,
  ): ReturnType<ServiceProcess["call"]> =>
    service.call("POST", "/api/v1/tokenize", { items: [{ card_number: number, card_holder: "Jane Doe" }] }, headers);
  const tokenOf = (text: string): string =>
    (JSON.parse(text) as { results: readonly { token: string }[] }).results[0]?.token ?? "";

  before(async function () {
    platform = await startPlatform(this);
  });

  afterEach(async () => {
    for (const service of processes.splice(0)) await service.remove();
    // Back to the password that every test begins with.
    await platform.asRoot(`ALTER USER ${login.user}@'127.0.0.1' IDENTIFIED BY '${login.password}' REQUIRE NONE`);
  });

  after(() => stopAll(platform));

  it("doesn't start with wrong settings, and names them all", async () => {
    const ended = await refused(
      await prepare({ TENANT_ID: "", TOKEN_FORMAT: "fpe", LISTEN_HOST: "0.0.0.0", TLS_MODE: "off" }),
    );
    assert.equal(ended.status, 2);
    for (const name of ["TENANT_ID", "TOKEN_FORMAT"]) assert.match(ended.output, new RegExp(name));
  });

  it("35, 53: doesn't start without its mounted secrets", async () => {
    const service = await prepare();
    service.mount({ "db-username": login.user, "db-password": login.password });
    const ended = await refused(service);
    assert.equal(ended.status, 1);
    assert.match(ended.output, /jwt-secret/);
  });

  it("34: doesn't start when its key cannot be used, and falls back to nothing", async () => {
    const ended = await refused(await prepare({ VAULT_TRANSIT_KEY: "of-somebody-else" }));
    assert.equal(ended.status, 1);
    assert.match(ended.output, /KeysUnavailable/);
    assert.doesNotMatch(ended.output, /"msg":"ready"/);
  });

  it("doesn't start when the database refuses its login", async () => {
    const service = await prepare();
    service.mount({ "db-username": login.user, "db-password": "wrong-Password-1", "jwt-secret": "x".repeat(32) });
    const ended = await refused(service);
    assert.equal(ended.status, 1);
    assert.match(ended.output, /ER_ACCESS_DENIED_ERROR/);
    assert.doesNotMatch(ended.output, /wrong-Password-1/);
  });

  it("starts on the password of the grace period when the newer one isn't valid yet", async () => {
    const service = await prepare();
    service.mount({
      "db-username": login.user,
      "db-password": "not-yet-Valid-1",
      "db-password-previous": login.password,
      "jwt-secret": "x".repeat(32),
    });
    assert.equal(await service.start(), "ready");
  });

  it("52: turns not ready at SIGTERM, ends what runs, and exits with 0", async () => {
    const service = await prepare();
    assert.equal(await service.start(), "ready");
    assert.equal((await service.call("GET", "/health/ready")).status, 200);
    const running = service.call("POST", "/api/v1/auth/login", { username: "admin", password: "Bootstrap-Secret-1" });
    await sleep(20);
    const ended = await service.end("SIGTERM");
    assert.equal((await running).status, 200, "the login that ran was answered");
    assert.equal(ended.status, 0, ended.output);
  });

  it("30: takes no connection without TLS, and on the card ports none without a certificate", async () => {
    const service = await prepare();
    assert.equal(await service.start(), "ready");
    for (const port of Object.values(service.ports)) await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
    for (const port of [service.ports.http, service.ports.icap]) {
      assert.notEqual((await speak(service, port)).said, "something");
    }
  });

  it("lets nobody but the proxy that it is for call a card port, whoever signed the certificate", async () => {
    const service = await prepare({ HTTP_PEERS: "haproxy", ICAP_PEERS: "squid" });
    assert.equal(await service.start(), "ready");
    const [haproxy, squid] = ["haproxy", "squid"].map((name) => service.authority.issue(name));
    const { http, icap } = service.ports;
    assert.equal((await speak(service, http, { own: haproxy })).said, "something");
    assert.equal((await speak(service, http, { own: squid })).said, "nothing");
    assert.equal((await speak(service, icap, { own: squid })).said, "something");
    assert.equal((await speak(service, icap, { own: haproxy })).said, "nothing");
    await said(service, '"subject":"haproxy"');
    // There is no application, but the card was stored for whom the proxy named.
    await service.call("POST", "/pay", { card: visa }, { "x-forwarded-for": "203.0.113.9" }, http);
    const [row] = await platform.database.query("SELECT source_ip FROM token_requests ORDER BY id DESC LIMIT 1");
    assert.equal(row?.["source_ip"], "203.0.113.9");
    assert.doesNotMatch(service.output, /TypeError/);
  });

  it("asks callers of the management API for a certificate where it is set so; health and metrics go without", async () => {
    const service = await prepare({ API_CLIENT_CERTIFICATE: "required" });
    assert.equal(await service.start(), "ready");
    const { api } = service.ports;
    assert.equal((await service.call("GET", "/api/v1/version")).status, 200, "the caller has a certificate");
    const first = await speak(service, api, { path: "/api/v1/version" });
    assert.match(first.text, /^HTTP\/1\.1 403 /);
    assert.ok(first.session !== undefined, "a session to resume");
    const again = await speak(service, api, { path: "/api/v1/version", session: first.session });
    assert.match(again.text, /^HTTP\/1\.1 403 /, "a resumed session is no certificate");
    for (const path of ["/health/live", "/health/ready", "/metrics"]) {
      assert.match((await speak(service, api, { path })).text, /^HTTP\/1\.1 200 /, path);
    }
    const stranger = makeAuthority().issue("dashboard");
    assert.equal((await speak(service, api, { own: stranger, path: "/health/live" })).said, "nothing");
  });

  it("reaches an application over TLS by the authority that is set, and no application without it", async () => {
    const authority = makeAuthority();
    const own = authority.issue("localhost");
    const application = createTlsServer({ cert: own.certificate, key: own.key }, (request, response) => {
      request.resume().on("end", () => response.end("served"));
    });
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    const APP_ENDPOINT = `https://localhost:${(application.address() as AddressInfo).port}`;
    try {
      const trusting = await prepare({ APP_ENDPOINT });
      const APP_CA_FILE = join(trusting.folder, "application.crt");
      writeFileSync(APP_CA_FILE, authority.certificate);
      const knowing = await prepare({ APP_ENDPOINT, APP_CA_FILE });
      for (const [service, status] of [
        [trusting, 502],
        [knowing, 200],
      ] as const) {
        assert.equal(await service.start(), "ready");
        const answer = await service.call("POST", "/pay", { note: "x" }, {}, service.ports.http);
        assert.equal(answer.status, status, answer.text);
      }
    } finally {
      application.closeAllConnections();
      application.close();
    }
  });

  it("shows the database its certificate, a renewed one too", async function () {
    this.timeout(60_000);
    await platform.asRoot(`ALTER USER ${login.user}@'127.0.0.1' REQUIRE X509`);
    assert.match((await refused(await prepare())).output, /ER_ACCESS_DENIED_ERROR/);
    const service = await prepare({ DB_CLIENT_CERTIFICATE: "true" });
    assert.equal(await service.start(), "ready");
    const session = await operator(service, "certified");
    service.renewCertificate();
    await said(service, "renewed certificate");
    assert.equal((await store(service, session)).status, 200);
  });

  it("uses a renewed certificate without a restart", async function () {
    this.timeout(60_000);
    const service = await prepare();
    assert.equal(await service.start(), "ready");
    service.renewCertificate();
    await said(service, "renewed certificate");
    assert.equal((await service.call("GET", "/health/ready")).status, 200);
  });

  it("53: follows the rotation of its database password under load, without a failed request", async function () {
    this.timeout(60_000);
    const service = await prepare();
    assert.equal(await service.start(), "ready");
    const session = await operator(service, "rotation");
    const next = "rotated-Password-2";
    const statuses: number[] = [];
    const load = { goes: true };
    const workers = Array.from({ length: 4 }, async () => {
      while (load.goes) statuses.push((await store(service, session)).status);
    });
    await platform.asRoot(`ALTER USER ${login.user}@'127.0.0.1' IDENTIFIED BY '${next}' RETAIN CURRENT PASSWORD`);
    service.mount({
      "db-username": login.user,
      "db-password": next,
      "db-password-previous": login.password,
      "jwt-secret": "signing-key-of-the-process-1",
    });
    await said(service, "follows the mounted secret");
    const more = (): Promise<void> => {
      const before = statuses.length;
      return until("requests are answered", 30_000, () => statuses.length > before + 40);
    };
    await more();
    await platform.asRoot(`ALTER USER ${login.user}@'127.0.0.1' DISCARD OLD PASSWORD`);
    await more();
    load.goes = false;
    await Promise.all(workers);
    assert.deepEqual([...new Set(statuses)], [200]);
    const metrics = (await service.call("GET", "/metrics")).text;
    assert.match(metrics, /^secret_rotation_total\{tenant_id="acme",secret_key="db-password",result="success"\} 1$/m);
  });

  it("tells a collector of the requests of all three ports by OTLP, and nothing of what was in them", async () => {
    const collector = await Collector.start();
    const told: (string | undefined)[] = [];
    const application = createServer((request, response) => {
      told.push(request.headers["traceparent"] as string | undefined);
      request.resume().on("end", () => response.end("{}"));
    });
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    const service = await prepare({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      APP_ENDPOINT: `http://127.0.0.1:${(application.address() as AddressInfo).port}`,
      EGRESS_DESTINATIONS: "https://gateway.example",
    });
    try {
      assert.equal(await service.start(), "ready");
      const session = await operator(service, "traced");
      const stored = await store(service, session);
      const [traceId, caller] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
      const headers = { traceparent: `00-${traceId}-${caller}-01`, "x-card": mastercard };
      const path = `/pay/${mastercard}?pan=${visa}`;
      const paid = await service.call("POST", path, { card: visa, holder: "Jane Doe" }, headers, service.ports.http);
      assert.equal(paid.status, 200);
      const shown = await service.icap(reqmod(JSON.stringify({ card: tokenOf(stored.text) })));
      assert.match(shown.body.toString(), new RegExp(visa));
      assert.equal((await service.end("SIGTERM")).status, 0);
      assert.deepEqual(collector.faults, []);
      const named = (name: string): CollectedSpan => {
        const found = collector.spans.find((span) => span.name === name);
        assert.ok(found !== undefined, `no span ${name} in ${collector.spans.map((span) => span.name).join()}`);
        return found;
      };
      const [forward, tokenize] = [named("forward"), named("tokenize")];
      assert.deepEqual([forward.traceId, forward.parentId], [traceId, caller]);
      assert.deepEqual([tokenize.traceId, tokenize.parentId], [traceId, forward.spanId]);
      assert.deepEqual(told, [`00-${traceId}-${forward.spanId}-01`]);
      for (const name of ["login", "tokenizeBulk", "reqmod"]) assert.notEqual(named(name).traceId, traceId);
      for (const span of collector.spans) assert.deepEqual(Object.keys(span.attributes), ["tokenization.outcome"]);
      const sent = Buffer.concat(collector.sent);
      platform.leaks.look("spans", sent);
      for (const secret of [visa, mastercard, "Jane Doe", tokenOf(stored.text), "Some-Password-1", "/pay", "gateway"]) {
        assert.ok(!sent.includes(secret), `the spans hold ${secret}`);
      }
    } finally {
      application.closeAllConnections();
      application.close();
      await collector.stop();
    }
  }).timeout(60_000);

  it("loses no acknowledged token when it is killed under load", async function () {
    this.timeout(60_000);
    const service = await prepare();
    assert.equal(await service.start(), "ready");
    const session = await operator(service, "crash");
    const acknowledged: string[] = [];
    const workers = Array.from({ length: 8 }, async () => {
      for (;;) {
        const got = await store(service, session).catch(() => undefined);
        if (got === undefined) return;
        if (got.status === 200) acknowledged.push(tokenOf(got.text));
      }
    });
    await until("tokens are acknowledged", 30_000, () => acknowledged.length > 100);
    await service.end("SIGKILL");
    await Promise.all(workers);
    const again = await prepare();
    assert.equal(await again.start(), "ready");
    for (let at = 0; at < acknowledged.length; at += 100) {
      const tokens = acknowledged.slice(at, at + 100);
      const got = await again.call("POST", "/api/v1/detokenize", { tokens, purpose: "after the crash" }, session);
      assert.equal((JSON.parse(got.text) as { failed: number }).failed, 0, got.text.slice(0, 300));
    }
  });

  it("leaves no card number, password, key or session in logs, metrics, errors or tables", async () => {
    const service = await prepare({ LOG_LEVEL: "trace" });
    assert.equal(await service.start(), "ready");
    const session = await operator(service, "leaks");
    const answers = [
      await store(service, session, visa),
      await store(service, session, mastercard),
      await store(service, session, "4111111111111112"),
      await service.call("POST", "/api/v1/tokenize", { items: visa, note: cvv }, session),
      await service.call("POST", "/api/v1/auth/login", { username: visa, password: "Secret-Login-9" }),
      await service.call("GET", `/api/v1/tokens/${visa}?q=${mastercard}`, undefined, {
        ...session,
        "x-request-id": visa,
        "user-agent": visa,
      }),
      await service.call("POST", "/api/v1/detokenize", { tokens: [visa], purpose: `about ${visa}` }, session),
      await service.call(
        "POST",
        "/api/v1/detokenize",
        { tokens: [visa, `tok_${visa}`], purpose: "leak test" },
        session,
      ),
      await service.call(
        "POST",
        "/api/v1/cards/import",
        { format: "json", data: Buffer.from(`[${visa}`).toString("base64") },
        session,
      ),
      await service.call("POST", "/api/v1/tokens/search", { external_id: visa, last_four: visa }, session),
    ];
    const token = tokenOf(answers[0]?.text ?? "");
    const revealed = await service.call(
      "POST",
      "/api/v1/detokenize",
      { tokens: [token], purpose: "leak test" },
      session,
    );
    assert.match(revealed.text, new RegExp(visa), "the reveal itself works");
    const metrics = (await service.call("GET", "/metrics")).text;
    const tables = await dump(platform.database);
    const secrets = [
      visa,
      mastercard,
      "4111111111111112",
      cvv,
      "Some-Password-1",
      "Secret-Login-9",
      "Bootstrap-Secret-1",
      login.password,
    ];
    const keys = [
      "emergency-secret-of-the-process",
      "signing-key-of-the-process-1",
      (session["authorization"] ?? "").slice(7),
      "Jane Doe",
    ];
    const places = { answers: answers.map(({ text }) => text).join("\n"), log: service.output, metrics, tables };
    for (const [place, text] of Object.entries(places)) {
      for (const secret of [...secrets, ...keys]) {
        assert.ok(!text.includes(secret), `${place} holds ${secret}`);
        if (place === "tables")
          assert.ok(!text.includes(Buffer.from(secret).toString("hex")), `${place} holds ${secret} in bytes`);
      }
    }
    assert.ok(!metrics.includes(token) && !service.output.includes(token), "tokens are in no log and no metric");
    assert.match(service.output, /"operation":"tokenizeBulk"/);
    assert.doesNotMatch(service.output, /\/api\/v1\/tokens\//, "no path in the log");
  });
});
