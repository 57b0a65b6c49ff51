import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstLedger, type Generation, LedgerFault, type RotationLedger, valueDigest } from "@tokenshield/rotation";
import { type Begin, RotatorError, type StepCode } from "../../src/core/index.ts";
import { Vault, VaultLedgers, VaultValues } from "../../src/vault/index.ts";
import { KvServer } from "./support/kv.ts";

const group = { name: "database_credentials", generated: ["password"] };
const at = `tenants/acme/${group.name}`;
const digest = (password: string): string => valueDigest("acme", group.name, { password });
const fails =
  (code: StepCode, message = /./) =>
  (error: unknown): boolean =>
    error instanceof RotatorError && error.code === code && message.test(error.message);

function ledger(generation: number, value: string, before: string, origin = generation): RotationLedger {
  return {
    ...firstLedger({ [group.name]: digest(value) }, new Date(0)),
    generation: generation as Generation,
    origin: origin as Generation,
    phase: "staged",
    previous: {
      generation: (generation - 1) as Generation,
      origin: null,
      since: new Date(0).toISOString(),
      until: null,
      digests: { [group.name]: digest(before) },
    },
  };
}

describe("Vault", () => {
  let server: KvServer;
  let folder: string;
  let vault: Vault;
  let values: VaultValues;

  beforeEach(async () => {
    server = new KvServer();
    folder = mkdtempSync(join(tmpdir(), "tokenshield-vault-"));
    writeFileSync(join(folder, "jwt"), "the-pods-token\n");
    const login = { kind: "kubernetes", mount: "kubernetes", role: "rotator", jwtFile: join(folder, "jwt") } as const;
    vault = new Vault({ address: await server.start(), login, timeout: 2_000 });
    values = new VaultValues(vault, "kv", "acme");
  });

  afterEach(async () => {
    await vault.close();
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  describe("a login", () => {
    it("is made with the pod's account once, and again where the token is over", async () => {
      server.put("a", { b: "c" });
      assert.deepEqual(await vault.read("kv", "a"), { data: { b: "c" }, version: 1 });
      await vault.read("kv", "a");
      assert.deepEqual(server.logins, [{ role: "rotator", jwt: "the-pods-token" }]);
      server.tokens.clear();
      await vault.read("kv", "a");
      assert.equal(server.logins.length, 2);
    });
  });

  describe("a document", () => {
    it("is written only over the version that is named", async () => {
      assert.equal(await vault.write("kv", "a", { b: 1 }, 0), 1);
      assert.equal(await vault.write("kv", "a", { b: 2 }, 1), 2);
      await assert.rejects(
        vault.write("kv", "a", { b: "a-value" }, 1),
        fails("CONFLICT", /^kv\/data\/a has another version than 1$/),
      );
      assert.deepEqual(server.get("a"), { b: 2 });
    });

    it("that was never there is told apart from one that was deleted", async () => {
      assert.equal(await vault.read("kv", "a"), undefined);
      server.secrets.set("a", { version: 3, data: undefined });
      assert.deepEqual(await vault.read("kv", "a"), { data: {}, version: 3 });
      server.secrets.set("tenants/acme/rotation/database", { version: 3, data: undefined });
      const deleted = (error: unknown): boolean => error instanceof LedgerFault && /undelete/.test(error.message);
      await assert.rejects(new VaultLedgers(vault, "kv", "acme").read("database"), deleted);
    });

    it("of a sealed Vault is an error that says so, and no error holds a value or a token", async () => {
      await vault.read("kv", "a");
      server.status = 503;
      const sealed = fails(
        "STORE",
        /^Vault refused to write kv\/data\/a with status 503: it is sealed or has no leader$/,
      );
      await assert.rejects(vault.write("kv", "a", { b: "a-value" }, 0), sealed);
      server.stop();
      await assert.rejects(vault.write("kv", "a", { b: "a-value" }, 0), (error: unknown) => {
        const text = error instanceof Error ? `${error.message} ${String(error.cause)}` : "";
        return fails("STORE", /gave no answer for kv\/data\/a/)(error) && !/a-value|token-1/.test(text);
      });
    });
  });

  describe("a group of values", () => {
    const live = {
      username: "u",
      password: "old+1",
      password_previous: "",
      url: "mysql://u:old%2B1@h/d",
      generation: "1",
    };

    beforeEach(() => {
      server.put(at, live);
      server.put(`${at}-staged`, { username: "u", password: "new/2", password_previous: "", generation: "2" });
    });

    it("is published whole: the new value, the one before, what follows from it, and the number", async () => {
      await values.publish(group, ledger(2, "new/2", "old+1"));
      assert.deepEqual(server.get(at), {
        username: "u",
        password: "new/2",
        password_previous: "old+1",
        url: "mysql://u:new%2F2@h/d",
        generation: "2",
      });
    });

    it("is published once, and its grace closed once", async () => {
      for (let time = 0; time < 2; time += 1) await values.publish(group, ledger(2, "new/2", "old+1"));
      assert.equal(server.secrets.get(at)?.version, 2);
      for (let time = 0; time < 2; time += 1) await values.closeGrace(group);
      assert.equal(server.secrets.get(at)?.version, 3);
      assert.equal(server.get(at)?.["password_previous"], "");
    });

    it("is not published over a value that the ledger doesn't know", async () => {
      server.put(at, { ...live, password: "somebody's" });
      await assert.rejects(
        values.publish(group, ledger(2, "new/2", "old+1")),
        fails("VALUE_LOST", /which the ledger knows as the live one/),
      );
    });

    it("comes back after it was published, and from before that", async () => {
      await values.publish(group, ledger(2, "new/2", "old+1"));
      await values.publish(group, ledger(3, "old+1", "new/2", 1));
      const { password, password_previous: previous, url, generation } = server.get(at) ?? {};
      assert.deepEqual([password, previous, url, generation], ["old+1", "new/2", live.url, "3"]);

      server.put(at, live);
      await values.publish(group, ledger(3, "old+1", "new/2", 1));
      assert.deepEqual(server.get(at), { ...live, generation: "3" });
    });

    it("is offered beside the live one before it takes its place", async () => {
      for (let time = 0; time < 2; time += 1) await values.offer(group, ledger(2, "new/2", "old+1"));
      assert.deepEqual(server.get(at), { ...live, password_previous: "new/2" });
      assert.equal(server.secrets.get(at)?.version, 2);
    });

    it("begins only where all that is staged is of the generation to begin", async () => {
      const begin = (generation: number): Begin => ({
        generation: generation as Generation,
        origin: generation as Generation,
        request: null,
        kind: "rotate",
      });
      const before = ledger(1, "old+1", "none");
      assert.deepEqual(await values.staged([group], before, begin(2)), { [group.name]: digest("new/2") });
      await assert.rejects(
        values.staged([group], before, begin(3)),
        fails("NOT_STAGED", /expected generation 3, given generation 2/),
      );
    });
  });
});
