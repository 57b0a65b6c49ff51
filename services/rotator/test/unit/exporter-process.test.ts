import assert from "node:assert/strict";
import { firstLedger, ledgerText } from "@tokenshield/rotation";
import { ExporterProcess } from "./support/exporter.ts";
import { KvServer } from "./support/kv.ts";

const plan = {
  tenant: "acme",
  mount: "kv",
  classes: {
    jwt: {
      ...{ kind: "shared", intervalDays: 180, automatic: true, graceSeconds: 60 },
      groups: [{ name: "jwt", generated: ["secret"] }],
    },
  },
  consumers: [],
  database: { schema: "tokenshield", members: [{ name: "server", host: "db.test", port: 3306 }] },
};

describe("rotator exporter, as a process", function () {
  this.timeout(30_000);
  const vault = new KvServer();
  let exporter: ExporterProcess;

  before(async () => {
    vault.status = 503;
    const environment = { VAULT_ADDR: await vault.start(), VAULT_K8S_ROLE: "ledgers" };
    exporter = await ExporterProcess.start(plan, environment, { VAULT_JWT_FILE: "the-pods-token" });
  });

  after(async () => {
    await exporter.end("SIGKILL");
    vault.stop();
  });

  const success = 'rotation_ledger_read_success{tenant_id="acme",class="jwt"}';

  it("serves by TLS while Vault is sealed, and says so", async () => {
    await exporter.shows(`${success} 0`);
    assert.deepEqual(await exporter.page("/health"), { status: 200, text: "looks at the ledgers\n" });
    assert.equal((await exporter.page("/")).status, 404);
  });

  it("tells the ledger once Vault answers, and that it can't be read once it is sealed again", async () => {
    const ledger = JSON.parse(ledgerText(firstLedger({}, new Date()))) as Record<string, unknown>;
    vault.status = undefined;
    vault.put("tenants/acme/rotation/jwt", ledger);
    await exporter.shows(`${success} 1`);
    await exporter.shows('rotation_phase{tenant_id="acme",class="jwt",phase="closed"} 1');
    assert.deepEqual(vault.logins.at(-1), { role: "ledgers", jwt: "the-pods-token" });
    vault.status = 503;
    await exporter.shows(`${success} 0`);
    await exporter.shows('rotation_generation{tenant_id="acme",class="jwt"} 1');
  });

  it("tells each change once in its log, without a token, and ends when it is asked to", async () => {
    assert.equal(await exporter.end("SIGTERM"), 0, exporter.log);
    const messages = exporter.log.split("\n").flatMap((line) => /"msg":"([^"]+)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(messages, [
      "tells what the ledgers say",
      "the ledger can't be read",
      "the ledger can be read",
      "the ledger can't be read",
    ]);
    assert.doesNotMatch(exporter.log, /the-pods-token|token-\d/);
  });
});
