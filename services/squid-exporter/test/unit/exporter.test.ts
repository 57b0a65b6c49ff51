import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { TLSSocket } from "node:tls";
import { join } from "node:path";
import { ExporterServer } from "@tokenshield/exporter";
import { keyDigest } from "@tokenshield/rotation";
import { figuresOf } from "../../src/figures.ts";
import { readFigures } from "../../src/manager.ts";
import { scrape } from "../../src/metrics.ts";

/** As Squid 7 writes them, shortened. */
const counters = [
  "sample_time = 1796000000.000000 (Sun, 29 Nov 2026 12:00:00 GMT)",
  "client_http.requests = 42",
  "client_http.errors = 3",
  "client_http.kbytes_in = 17",
  "client_http.kbytes_out = 21",
  "server.all.requests = 20",
  "server.all.errors = 1",
  "server.all.kbytes_in = 11",
  "server.all.kbytes_out = 9",
  "cpu_time = 1.250000",
  "aborted_requests = 2",
  "",
].join("\n");
const info = [
  "Squid Object Cache: Version 7.7",
  "File descriptor usage for squid:",
  "\tMaximum number of file descriptors:   8192",
  "\tLargest file desc currently in use:     31",
  "\tNumber of file desc currently in use:   22",
  "",
].join("\n");

const servers: Server[] = [];
async function squid(answer: (path: string) => string | undefined): Promise<number> {
  const server = createServer(({ url = "" }, response) => {
    const text = answer(url);
    response.writeHead(text === undefined ? 403 : 200).end(text);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

describe("the exporter beside Squid", () => {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-exporter-"));
  const bundle = join(folder, "tls.pem");
  const authority = { tenant: "acme", file: join(folder, "none") };
  const issue = (name: string): void => {
    const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    execFileSync("openssl", [...words, "-subj", `/CN=${name}`, "-keyout", key, "-out", certificate], { stdio: "pipe" });
    writeFileSync(bundle, readFileSync(key, "utf8") + readFileSync(certificate, "utf8"));
  };

  before(() => {
    issue("outbound.test");
  });

  after(() => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });

  it("reads Squid's pages from its cache manager, and asks for nothing else", async () => {
    const asked: string[] = [];
    const port = await squid((path) => {
      asked.push(path);
      return path.endsWith("counters") ? counters : info;
    });
    const { counters: totals, openFiles, mostFiles } = await readFigures(port);
    assert.deepEqual([totals.get("client_http.requests"), openFiles, mostFiles], [42, 22, 8192]);
    assert.deepEqual(asked.sort(), ["/squid-internal-mgr/counters", "/squid-internal-mgr/info"]);
  });

  it("takes no page for another one", () => {
    assert.throws(() => figuresOf(info, info), /counters has none/);
    assert.throws(() => figuresOf(counters, counters), /no line "Number of file desc currently in use"/);
  });

  it("tells requests, errors and bytes by side, and when certificates end", async () => {
    const figures = (): Promise<ReturnType<typeof figuresOf>> => Promise.resolve(figuresOf(counters, info));
    const { text } = await scrape({
      figures,
      certificates: { transport: bundle, authority: authority.file },
      authority,
    });
    for (const line of [
      "squid_up 1",
      'squid_requests_total{side="client"} 42',
      'squid_requests_total{side="gateway"} 20',
      'squid_errors_total{side="gateway"} 1',
      'squid_received_kibibytes_total{side="client"} 17',
      "squid_cpu_seconds_total 1.25",
      "squid_aborted_requests_total 2",
      "squid_open_files 22",
      "squid_open_files_limit 8192",
    ]) {
      assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
    }
    const end = Number(/expiry_timestamp_seconds\{certificate="transport"\} (\S+)/.exec(text)?.[1]);
    assert.ok(Math.abs(end - Date.now() / 1000 - 86_400) < 600, `${end}`);
    assert.doesNotMatch(text, /certificate="authority"/);
  });

  it("tells which generation of the tenant's authority signed its own, and of another issuer nothing", async () => {
    const sources = { figures: () => Promise.reject(new Error("down")), certificates: {} };
    const told = async (file: string): Promise<string | undefined> => {
      const { text } = await scrape({ ...sources, authority: { tenant: "acme", file } });
      return /^secret_in_use_generation\{.*\} .*$/m.exec(text)?.[0];
    };
    issue("TokenShield test acme egress 7");
    const digest = keyDigest("acme", "bump", "TokenShield test acme egress 7");
    const labels = `tenant_id="acme",secret_group="bump",digest="${digest}"`;
    assert.equal(await told(bundle), `secret_in_use_generation{${labels}} 7`);
    issue("outbound.test");
    assert.equal(await told(bundle), undefined);
    assert.equal(await told(join(folder, "none")), undefined);
  });

  it("says of a Squid that can't be asked that it is down, and tells no figure of it", async () => {
    const refusing = await squid(() => undefined);
    const { text } = await scrape({ figures: () => readFigures(refusing), certificates: {}, authority });
    assert.match(text, /^squid_up 0$/m);
    assert.doesNotMatch(text, /squid_requests_total/);
  });

  it("serves them by TLS, nothing else, and takes up a renewed certificate", async function () {
    this.timeout(20_000);
    const port = await squid((path) => (path.endsWith("counters") ? counters : info));
    const sources = { figures: () => readFigures(port), certificates: {}, authority };
    const server = new ExporterServer(bundle, { "/metrics": () => scrape(sources) });
    const at = await server.listen(0, "127.0.0.1");
    const get = (path: string, method = "GET"): Promise<{ status: number; subject: unknown }> =>
      new Promise((resolve, reject) => {
        const trust = { rejectUnauthorized: false, agent: false as const };
        const sent = request({ host: "127.0.0.1", port: at, path, method, ...trust }, (answer) => {
          const { socket } = answer;
          assert.ok(socket instanceof TLSSocket);
          answer.resume();
          resolve({ status: answer.statusCode ?? 0, subject: socket.getPeerCertificate().subject.CN });
        });
        sent.once("error", reject);
        sent.end();
      });
    try {
      assert.deepEqual(await get("/metrics"), { status: 200, subject: "outbound.test" });
      assert.equal((await get("/squid-internal-mgr/config")).status, 404);
      assert.equal((await get("/metrics", "POST")).status, 405);
      issue("renewed.test");
      let subject: unknown;
      for (let tries = 0; tries < 60 && subject !== "renewed.test"; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        ({ subject } = await get("/metrics"));
      }
      assert.equal(subject, "renewed.test");
    } finally {
      await server.close();
    }
  });
});
