import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { rootParameters } from "@tokenshield/rotation";
import { startVault, needVault, type VaultServer } from "../../services/tokenizer/test/lab/servers.ts";
import { EngineProject } from "./support/engine-project.ts";

const mount = "tokenshield-program-egress-acme";

describe("the program's egress authority on a real Vault", function () {
  this.timeout(120_000);
  this.bail(true);
  let vault: VaultServer;
  let project: EngineProject;

  before(async function () {
    vault = await startVault(needVault(this));
    const environment = { VAULT_AT: vault.address, ROOT_TOKEN: vault.rootToken, FIRST: "alone" };
    project = new EngineProject("authority", join(import.meta.dirname, "rotation/authority-program.ts"), environment);
  });

  after(async () => {
    // Absent where `before` has skipped.
    (project as EngineProject | undefined)?.remove();
    await (vault as VaultServer | undefined)?.stop();
  });

  async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await fetch(`${vault.address}/v1/${mount}/${path}`, {
      method,
      headers: { "x-vault-token": vault.rootToken },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
    const text = await answer.text();
    return text === "" ? {} : ((JSON.parse(text) as { data?: Record<string, unknown> }).data ?? {});
  }

  /** The names of issuers in Vault. */
  async function issuers(): Promise<readonly string[]> {
    const { key_info: info } = (await ask("LIST", "issuers")) as { key_info: Record<string, { issuer_name: string }> };
    return Object.values(info)
      .map(({ issuer_name: name }) => name)
      .sort();
  }

  /** An update, and the names that applications trust after it. */
  async function updated(first: string, ...words: readonly string[]): Promise<readonly string[]> {
    project.environment["FIRST"] = first;
    const up = await project.run("up", "--yes", ...words);
    assert.equal(up.status, 0, up.printed);
    const { printed } = await project.run("stack", "output", "bundle");
    return [...printed.matchAll(/-----BEGIN[^]+?-----END CERTIFICATE-----/g)].map(([pem]) =>
      new X509Certificate(pem).subject.replace("CN=", ""),
    );
  }

  const name = (generation: number): string => `TokenShield program acme egress ${generation}`;

  it("is made once, and has nothing to do in the next update", async () => {
    assert.deepEqual(await updated("alone"), [name(1)]);
    assert.deepEqual(await issuers(), ["g1"]);
    const { default_follows_latest_issuer: follows } = await ask("GET", "config/issuers");
    assert.equal(follows, false);
    const preview = await project.run("preview", "--expect-no-changes");
    assert.equal(preview.status, 0, preview.printed);
  });

  it("hands both to applications in a rotation, and changes nothing of either", async () => {
    await ask("POST", "root/generate/internal", rootParameters("TokenShield program acme egress", 2, 30));
    assert.deepEqual(await updated("beside another"), [name(1), name(2)]);
    assert.deepEqual(await updated("beside another", "--refresh"), [name(1), name(2)]);
    assert.deepEqual(await issuers(), ["g1", "g2"]);
  });

  it("forgets the first once the rotator has ended it, and makes and deletes nothing in Vault", async () => {
    await ask("POST", "config/issuers", { default: "g2" });
    await ask("DELETE", "issuer/g1");
    await ask("DELETE", "key/g1");
    assert.deepEqual(await updated("ended"), [name(2)]);
    assert.deepEqual(await issuers(), ["g2"]);
    assert.deepEqual(await updated("ended", "--refresh"), [name(2)]);
    assert.deepEqual(await issuers(), ["g2"]);
    const preview = await project.run("preview", "--expect-no-changes");
    assert.equal(preview.status, 0, preview.printed);
  });
});
