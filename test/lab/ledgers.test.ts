import assert from "node:assert/strict";
import { firstLedger, groupPath, ledgerPath, ledgerText, stagedPath } from "@tokenshield/rotation";
import { type PolicyArgs, policyRules, policyText } from "../../bin/components/vault/policy.js";
import { ExporterProcess } from "../../services/rotator/test/unit/support/exporter.ts";
import { startVault, type VaultServer, needVault } from "../../services/tokenizer/test/lab/servers.ts";

const tenant = "acme";
const mount = "tokenshield-lab";
const args: PolicyArgs = {
  environment: "lab",
  tenant,
  groupsOf: () => [],
  groups: ["jwt"],
  classes: ["jwt", "encryption"],
  bump: { gateways: [], commonName: "none", minutes: 1 },
};
const times = { intervalDays: 180, automatic: true, graceSeconds: 60 };
const plan = {
  tenant,
  mount,
  classes: {
    jwt: { kind: "shared", ...times, groups: [{ name: "jwt", generated: ["secret"] }] },
    encryption: {
      ...{ kind: "keys", ...times, automatic: false },
      transit: { mount: "tokenshield-lab-transit", key: "tokenshield-acme" },
      api: "https://tokenizer.test:8090",
    },
  },
  consumers: [],
  database: { schema: "tokenshield", members: [{ name: "server", host: "db.test", port: 3306 }] },
};

/** Vault as a process and the rotator's program beside it: no cluster is needed. */
describe("what tells Prometheus of the ledgers, before a real Vault", function () {
  this.timeout(60_000);
  let vault: VaultServer;
  let exporter: ExporterProcess;
  let token = "";

  before(async function () {
    vault = await startVault(needVault(this));
    await ask("POST", `sys/mounts/${mount}`, { type: "kv", options: { version: "2" } });
    const ledger = JSON.parse(ledgerText(firstLedger({}, new Date("2026-01-01T00:00:00.000Z")))) as object;
    await ask("POST", `${mount}/data/${ledgerPath(tenant, "jwt")}`, { data: ledger });
    for (const path of [groupPath(tenant, "jwt"), stagedPath(tenant, "jwt")]) {
      await ask("POST", `${mount}/data/${path}`, { data: { secret: "a-value", generation: "1" } });
    }
    await ask("PUT", "sys/policies/acl/ledgers", { policy: policyText(policyRules("ledgers", args)) });
    const { body } = await ask("POST", "auth/token/create", { policies: ["ledgers"], no_default_policy: true });
    token = (body as { auth: { client_token: string } }).auth.client_token;
    exporter = await ExporterProcess.start(plan, { VAULT_ADDR: vault.address }, { VAULT_TOKEN_FILE: token });
  });

  after(async () => {
    // Absent where `before` has skipped.
    await (exporter as ExporterProcess | undefined)?.end("SIGKILL");
    await (vault as VaultServer | undefined)?.stop();
  });

  async function ask(
    method: "GET" | "POST" | "PUT" | "DELETE" | "LIST",
    path: string,
    content?: object,
    by = vault.rootToken,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const answer = await fetch(`${vault.address}/v1/${path}`, {
      method,
      headers: { "x-vault-token": by },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
  }
  const of = (metric: string, className: string): string => `${metric}{tenant_id="${tenant}",class="${className}"}`;

  it("reads the ledgers by its rights, and takes a class that has none yet for read", async () => {
    await exporter.shows(`${of("rotation_ledger_read_success", "jwt")} 1`);
    await exporter.shows(`${of("rotation_ledger_read_success", "encryption")} 1`);
    await exporter.shows(`${of("rotation_next_due_timestamp_seconds", "jwt")} ${Date.UTC(2026, 0, 181) / 1000}`);
    const { text } = await exporter.page("/metrics");
    assert.ok(!text.includes(of("rotation_generation", "encryption")));
  });

  it("may read no value, published or staged, and write, list or delete nothing", async () => {
    const ledger = `${mount}/data/${ledgerPath(tenant, "jwt")}`;
    const tried: readonly (readonly ["GET" | "POST" | "DELETE" | "LIST", string, object?])[] = [
      ["GET", `${mount}/data/${groupPath(tenant, "jwt")}`],
      ["GET", `${mount}/data/${stagedPath(tenant, "jwt")}`],
      ["POST", ledger, { data: {} }],
      ["DELETE", ledger],
      ["LIST", `${mount}/metadata/tenants/${tenant}`],
      ["GET", `${mount}/metadata/${ledgerPath(tenant, "jwt")}`],
      ["GET", `tokenshield-lab-transit/keys/tokenshield-acme`],
    ];
    for (const [method, path, content] of tried) {
      assert.equal((await ask(method, path, content, token)).status, 403, `${method} ${path}`);
    }
    assert.equal((await ask("GET", ledger, undefined, token)).status, 200);
  });

  it("goes on while Vault is sealed, tells it, and no token", async () => {
    await ask("PUT", "sys/seal");
    await exporter.shows(`${of("rotation_ledger_read_success", "jwt")} 0`);
    await exporter.shows(`${of("rotation_generation", "jwt")} 1`);
    assert.equal((await exporter.page("/health")).status, 200);
    assert.match(exporter.log, /"error":"STORE"/);
    assert.ok(!exporter.log.includes(token) && !exporter.log.includes("a-value"));
  });
});
