import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { DataPlane, type DataPlanePorts } from "../../src/dataplane/index.ts";
import { readSettings } from "../../src/settings/index.ts";
import { AuditLog, type MySqlDatabase, verifyAudit } from "../../src/storage/index.ts";
import { testPans } from "../corpus.ts";
import { Client, reqmod, respmod } from "../icap-client.ts";
import { CountingMeters, Records } from "../records.ts";
import { until } from "../until.ts";
import { type Platform, startPlatform, tenant, transitKey } from "./platform.ts";

describe("data plane", function () {
  const { visa, amex } = testPans;
  let platform: Platform;
  let application: Server;
  let database: MySqlDatabase;
  let plane: DataPlane;
  let ports: DataPlanePorts;
  let client: Client;
  const bodies: string[] = [];
  const records = new Records();

  async function post(body: string, type = "application/json", port = ports.http): Promise<number> {
    const headers = { "content-type": type };
    const answer = await fetch(`http://127.0.0.1:${port}/pay?x=1`, { method: "POST", headers, body });
    await answer.text();
    return answer.status;
  }

  before(async function () {
    platform = await startPlatform(this);
    platform.watch("log of the data plane", () => records.lines.join("\n"));
    application = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on("data", (piece: Buffer) => pieces.push(piece));
      request.on("end", () => {
        bodies.push(Buffer.concat(pieces).toString());
        response.end("ok");
      });
    });
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    database = await platform.openDatabase(8);
    plane = planeWith(database);
    ports = await plane.start();
    client = new Client(ports.icap);
  });

  function planeWith(database: MySqlDatabase): DataPlane {
    const settings = readSettings({
      TENANT_ID: tenant,
      LISTEN_HOST: "127.0.0.1",
      TLS_MODE: "off",
      APP_ENDPOINT: `http://127.0.0.1:${(application.address() as AddressInfo).port}`,
      VAULT_ADDR: platform.vault.address,
      VAULT_TOKEN_FILE: platform.tokenFile,
      VAULT_TRANSIT_KEY: transitKey,
      EGRESS_DESTINATIONS: "https://gateway.example",
      CVV_FIELDS: "slot",
    });
    const audit = new AuditLog(
      database,
      () => new Date(),
      () => "",
    );
    const authority = { authorise: (): Promise<undefined> => Promise.resolve(undefined) };
    const meters = new CountingMeters();
    const parts = { database, audit, meters, log: records, authority, isTrustedProxy: () => false, tls: undefined };
    return new DataPlane({ ...settings, HTTP_PORT: 0, ICAP_PORT: 0 }, { ...parts, service: platform.service(1000) });
  }

  after(async () => {
    // A suite that was skipped has started nothing.
    if ((platform as Platform | undefined) === undefined) return;
    client.end();
    await plane.stop(1000);
    await database.close();
    application.closeAllConnections();
    application.close();
    await platform.stop();
  });

  it("carries a card and its code from the shopper to the gateway, and neither to the merchant", async () => {
    assert.equal(await post(`{"card":{"number":"4111 1111 1111 1111","cvv":"123"},"note":"x"}`), 200);
    const merchant = bodies.pop() ?? "";
    assert.ok(!merchant.includes("4111") && !merchant.includes("123"), merchant);
    const paid = await client.ask(reqmod(merchant, "X-Client-IP: 192.0.2.9\r\n"));
    assert.equal(paid.body.toString(), `{"card":{"number":"${visa}","cvv":"123"},"note":"x"}`);
    const again = await client.ask(reqmod(merchant));
    assert.match(again.head, /^HTTP\/1\.1 422 /);
    const rows = await database.query(
      "SELECT request_type, source_ip, destination_url FROM token_requests ORDER BY id LIMIT 2",
    );
    assert.deepEqual(
      rows.map((row) => [row["request_type"], row["source_ip"]]),
      [
        ["tokenize", "127.0.0.1"],
        ["detokenize", "192.0.2.9"],
      ],
    );
    assert.equal(rows[1]?.["destination_url"], "gateway.example/pay");
    const [event] = await database.query("SELECT action, result, source_ip FROM audit_log ORDER BY sequence LIMIT 1");
    assert.deepEqual({ ...event }, { action: "token.reveal", result: "success", source_ip: "192.0.2.9" });
    assert.equal((await verifyAudit(database)).intact, true);
  });

  it("reveals to nobody that isn't on the list, and audits the attempt", async () => {
    const token = (await plane.cards.search({ lastFour: "1111" }, { limit: 1, offset: 0 })).tokens[0]?.token ?? "";
    const answer = await client.ask(
      reqmod(`{"a":"${token}"}`, "", "Content-Type: application/json\r\n", "https://evil.example/"),
    );
    assert.match(answer.head, /^HTTP\/1\.1 403 /);
    const [event] = await database.query("SELECT result, resource_id FROM audit_log ORDER BY sequence DESC LIMIT 1");
    assert.deepEqual({ ...event }, { result: "denied", resource_id: "evil.example/" });
  });

  it("is closed while the database is down, in both directions, and heals by itself (defects 2, 25)", async () => {
    bodies.splice(0);
    await platform.mysql.crash();
    assert.equal(await post(`{"pan":"${amex}"}`), 503);
    assert.equal(await post(`pan=${amex}`, "application/x-www-form-urlencoded"), 503);
    const response = await client.ask(respmod(`{"pan":"${amex}"}`));
    assert.match(response.head, /^HTTP\/1\.1 503 /);
    assert.deepEqual(bodies, []);
    assert.equal(await post('{"note":"no card"}'), 200);
    await platform.mysql.restart();
    const end = performance.now() + 20_000;
    while ((await post(`{"pan":"${amex}"}`)) !== 200) {
      assert.ok(performance.now() < end, "not healed");
      await sleep(100);
    }
    const hidden = await client.ask(respmod(`{"pan":"${amex}"}`));
    assert.match(hidden.body.toString(), /^\{"pan":"tok_/);
  }).timeout(60_000);

  it("refuses nothing while the database hands over, in neither direction", async () => {
    // Longer than the hand-overs take on a busy machine.
    const patient = await platform.openDatabase(8, 60_000);
    const other = planeWith(patient);
    const { http, icap } = await other.start();
    bodies.splice(0);
    assert.equal(await post(`{"pan":"${visa}"}`, "application/json", http), 200);
    const token = /tok_[A-Za-z0-9_=-]+/.exec(bodies[0] ?? "")?.[0] ?? "";
    const answers: string[] = [];
    const stop = new AbortController();
    const load = Array.from({ length: 6 }, async (_, worker) => {
      const gateway = new Client(icap);
      while (!stop.signal.aborted) {
        if (worker % 2 === 0) answers.push(`posted ${await post(`{"pan":"${amex}"}`, "application/json", http)}`);
        else {
          const { head, body } = await gateway.ask(
            reqmod(`{"a":"${token}"}`, "", "Content-Type: application/json\r\n"),
          );
          answers.push(`${/^[A-Z]+/.exec(head)?.[0] ?? ""} ${body.toString().includes(visa) ? "revealed" : "refused"}`);
        }
      }
      gateway.end();
    });
    for (let round = 0; round < 3; round += 1) {
      await sleep(300);
      await platform.asRoot("SET GLOBAL super_read_only = ON");
      await sleep(400);
      await platform.asRoot("SET GLOBAL read_only = OFF");
    }
    const before = answers.length;
    await until("requests go on", 30_000, () => answers.length > before + 20);
    stop.abort();
    await Promise.all(load);
    await other.stop(1000);
    await patient.close();
    assert.deepEqual([...new Set(answers)].sort(), ["POST revealed", "posted 200"]);
  }).timeout(120_000);

  it("goes on with the keys in memory while the key service is down", async () => {
    await platform.vault.pause();
    try {
      assert.equal(await post(`{"pan":"${amex}"}`), 200);
      await assert.rejects(plane.keys.probe());
    } finally {
      platform.vault.resume();
    }
    await plane.keys.probe();
  }).timeout(30_000);

  it("has written no card number, code or token to its log", () => {
    const text = records.lines.join("\n");
    assert.ok(!/\d{13,19}|tok_[A-Za-z0-9]|cvt_/.test(text), text);
  });
});
