import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { firstLedger, ledgerText } from "@tokenshield/rotation";
import { KvServer } from "./support/kv.ts";

const main = join(dirname(dirname(import.meta.dirname)), "src/main.ts");
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

/** Key and certificate of a name in one file. */
function makeBundle(folder: string): string {
  const [key, certificate, bundle] = ["key.pem", "certificate.pem", "tls.pem"].map((name) => join(folder, name));
  assert.ok(key !== undefined && certificate !== undefined && bundle !== undefined);
  const subject = ["-subj", "/CN=ledgers.test", "-addext", "subjectAltName=DNS:ledgers.test"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", certificate], {
    stdio: "pipe",
  });
  writeFileSync(bundle, readFileSync(key, "utf8") + readFileSync(certificate, "utf8"));
  return bundle;
}

describe("rotator exporter, as a process", function () {
  this.timeout(30_000);
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-ledgers-"));
  const vault = new KvServer();
  let child: ChildProcess;
  let log = "";
  let port = "";

  before(async () => {
    const bundle = makeBundle(folder);
    writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
    writeFileSync(join(folder, "jwt"), "the-pods-token");
    vault.status = 503;
    child = spawn(process.execPath, [main, "exporter"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ROTATOR_PLAN: join(folder, "plan.json"),
        VAULT_ADDR: await vault.start(),
        VAULT_K8S_ROLE: "ledgers",
        VAULT_JWT_FILE: join(folder, "jwt"),
        EXPORTER_CERTIFICATE_FILE: bundle,
        EXPORTER_PORT: "0",
        EXPORTER_INTERVAL: "100",
      },
    });
    child.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString("utf8")));
    for (let tries = 0; port === "" && tries < 200; tries += 1) {
      await sleep(50);
      port = /"port":(\d+)/.exec(log)?.[1] ?? "";
    }
    assert.notEqual(port, "", log);
  });

  after(() => {
    child.kill("SIGKILL");
    vault.stop();
    rmSync(folder, { recursive: true });
  });

  function page(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const trust = {
      ca: readFileSync(join(folder, "certificate.pem")),
      servername: "ledgers.test",
      agent: false,
    } as const;
    return new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port, path, ...trust }, (answer) => {
        let text = "";
        answer.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
        answer.once("end", () => {
          resolve({ status: answer.statusCode ?? 0, text });
        });
      }).once("error", reject);
    });
  }
  async function shows(line: string): Promise<void> {
    let text = "";
    for (let tries = 0; tries < 100; tries += 1) {
      ({ text } = await page("/metrics"));
      if (text.split("\n").includes(line)) return;
      await sleep(50);
    }
    assert.fail(`no line ${line} in:\n${text}`);
  }
  const success = 'rotation_ledger_read_success{tenant_id="acme",class="jwt"}';

  it("serves by TLS while Vault is sealed, and says so", async () => {
    await shows(`${success} 0`);
    assert.deepEqual(await page("/health"), { status: 200, text: "looks at the ledgers\n" });
    assert.equal((await page("/")).status, 404);
  });

  it("tells the ledger once Vault answers, and that it can't be read once it is sealed again", async () => {
    vault.status = undefined;
    vault.put(
      "tenants/acme/rotation/jwt",
      JSON.parse(ledgerText(firstLedger({}, new Date()))) as Record<string, unknown>,
    );
    await shows(`${success} 1`);
    await shows('rotation_phase{tenant_id="acme",class="jwt",phase="closed"} 1');
    assert.deepEqual(vault.logins.at(-1), { role: "ledgers", jwt: "the-pods-token" });
    vault.status = 503;
    await shows(`${success} 0`);
    await shows('rotation_generation{tenant_id="acme",class="jwt"} 1');
  });

  it("tells each change once in its log, without a token, and ends when it is asked to", async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    assert.equal(await ended, 0, log);
    const messages = log.split("\n").flatMap((line) => /"msg":"([^"]+)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(messages, [
      "tells what the ledgers say",
      "the ledger can't be read",
      "the ledger can be read",
      "the ledger can't be read",
    ]);
    assert.doesNotMatch(log, /the-pods-token|token-\d/);
  });
});
