import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { CardStore, type CardStoreParts } from "../../src/cards/index.ts";
import type { Caller } from "../../src/core/ports.ts";
import { KeyStore, type KeyStoreParts, VaultTransit } from "../../src/keys/index.ts";
import { VaultSession } from "../../src/vault/index.ts";
import { type DatabaseOptions, migrate, migrations, MySqlDatabase } from "../../src/storage/index.ts";
import { CountingMeters, Records } from "../records.ts";
import { dump } from "./dump.ts";
import { Leaks } from "./leaks.ts";
import { type MySqlServer, needServers, startMySql, startVault, type VaultServer } from "./servers.ts";

export const login = { user: "tokenizer", password: "lab-Password-1" };
export const tenant = "acme";
export const transitKey = "tokenshield-acme";

/** A request to Vault with the root token; gives the answer's `data`. */
async function vaultAsRoot(vault: VaultServer, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${vault.address}/v1/${path}`, {
    method,
    headers: { "x-vault-token": vault.rootToken, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Vault answered ${method} ${path} with ${answer.status}`);
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}

/** Real MySQL and Vault, the schema applied, and a Vault token with the tokenizer's rights only. */
export interface Platform {
  readonly mysql: MySqlServer;
  readonly vault: VaultServer;
  readonly database: MySqlDatabase;
  readonly tokenFile: string;
  asRoot(...statements: readonly string[]): Promise<unknown>;
  vaultAsRoot(method: string, path: string, body?: object): Promise<unknown>;
  openDatabase(poolSize?: number, handOverWait?: number): Promise<MySqlDatabase>;
  service(timeout?: number): VaultTransit;
  /** What the suite must not have leaked. Looked for in all that was written, when the platform stops. */
  readonly leaks: Leaks;
  /** Looks through this too, at the end. */
  watch(place: string, written: () => string): void;
  /** @throws AssertionError if a card number or a secret stands in clear in a table, a file of the database, or what was watched */
  stop(): Promise<void>;
}

export async function startPlatform(context: Mocha.Context): Promise<Platform> {
  const { root, program } = needServers(context);
  const [mysql, vault] = await Promise.all([startMySql(root), startVault(program)]);
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-lab-"));
  const tokenFile = join(folder, "token");
  const asRoot = async (...statements: readonly string[]): Promise<unknown> => {
    const ssl = { ca: mysql.authority.certificate };
    const password = mysql.rootPassword;
    const connection = await createConnection({ host: "127.0.0.1", port: mysql.port, user: "root", password, ssl });
    let result: unknown;
    for (const statement of statements) [result] = await connection.query(statement);
    await connection.end();
    return result;
  };
  await asRoot(
    "CREATE DATABASE tokenshield",
    `CREATE USER ${login.user}@'127.0.0.1' IDENTIFIED BY '${login.password}'`,
    `GRANT ALL ON tokenshield.* TO ${login.user}@'127.0.0.1'`,
  );
  await vaultAsRoot(vault, "POST", "sys/mounts/transit", { type: "transit" });
  await vaultAsRoot(vault, "POST", `transit/keys/${transitKey}`, { exportable: false });
  const policy = ["datakey/plaintext", "decrypt", "rewrap"]
    .map((operation) => `path "transit/${operation}/${transitKey}" { capabilities = ["update"] }`)
    .join("\n");
  await vaultAsRoot(vault, "PUT", "sys/policies/acl/tokenizer", { policy });
  const made = (await vaultAsRoot(vault, "POST", "auth/token/create", {
    policies: ["tokenizer"],
    no_parent: true,
  })) as {
    auth: { client_token: string };
  };
  writeFileSync(tokenFile, `${made.auth.client_token}\n`, { mode: 0o600 });
  const options = (poolSize: number): DatabaseOptions => ({
    host: "localhost",
    port: mysql.port,
    database: "tokenshield",
    poolSize,
    ca: mysql.authority.certificate,
    acquireTimeout: 3000,
    connectTimeout: 3000,
  });
  const database = await MySqlDatabase.open(options(10), [login]);
  await migrate(database, migrations);
  const leaks = new Leaks();
  leaks.add("password of the database", login.password);
  leaks.add("root token of Vault", vault.rootToken);
  leaks.add("Vault token of the service", made.auth.client_token);
  const watched = new Map<string, () => string>();
  /** Every data key in clear, as Vault's owner may see it. */
  const addDataKeys = async (): Promise<void> => {
    const rows = await database.query(
      "SELECT key_id, encrypted_key FROM encryption_keys WHERE encrypted_key IS NOT NULL",
    );
    for (const row of rows) {
      const opened = (await vaultAsRoot(vault, "POST", `transit/decrypt/${transitKey}`, {
        ciphertext: row["encrypted_key"],
      })) as { data: { plaintext: string } };
      leaks.add(`data key ${String(row["key_id"])}`, Buffer.from(opened.data.plaintext, "base64"));
    }
  };
  return {
    mysql,
    vault,
    database,
    tokenFile,
    asRoot,
    vaultAsRoot: (method, path, body) => vaultAsRoot(vault, method, path, body),
    openDatabase: (poolSize = 5, handOverWait?: number) =>
      MySqlDatabase.open({ ...options(poolSize), ...(handOverWait === undefined ? {} : { handOverWait }) }, [login]),
    service: (timeout = 3000) =>
      new VaultTransit(
        new VaultSession({ address: vault.address, login: { kind: "token-file", path: tokenFile }, timeout }),
        "transit",
        transitKey,
      ),
    leaks,
    watch: (place, written) => watched.set(place, written),
    stop: async () => {
      await addDataKeys();
      leaks.look("tables", await dump(database));
      await database.close();
      leaks.lookInto("MySQL", join(await mysql.halt(), "data"));
      for (const [place, written] of watched) leaks.look(place, written());
      await Promise.all([mysql.stop(), vault.stop()]);
      rmSync(folder, { recursive: true, force: true });
      assert.deepEqual(leaks.found, []);
    },
  };
}

/** One replica: a pool, keys and a card store of its own. */
export interface Replica {
  readonly database: MySqlDatabase;
  readonly keys: KeyStore;
  readonly cards: CardStore;
  readonly meters: CountingMeters;
  readonly records: Records;
  stop(): Promise<void>;
}

let replicas = 0;

export async function makeReplica(
  platform: Platform,
  how: {
    readonly keys?: Partial<KeyStoreParts>;
    readonly cards?: Partial<CardStoreParts>;
    readonly poolSize?: number;
    readonly handOverWait?: number;
  } = {},
): Promise<Replica> {
  const database = await platform.openDatabase(how.poolSize, how.handOverWait);
  const service = platform.service();
  const meters = new CountingMeters();
  const records = new Records();
  platform.watch(
    `log of replica ${(replicas += 1)}`,
    () => `${records.lines.join("\n")}\n${JSON.stringify(records.events)}`,
  );
  const shared = { database, audit: records, meters, log: records, tenant };
  const keys = new KeyStore({ ...shared, service, interval: 200, ...how.keys });
  const cards = new CardStore({ ...shared, keys: keys.dataKeys, format: "prefix", reuse: "never", ...how.cards });
  return {
    database,
    keys,
    cards,
    meters,
    records,
    stop: async () => {
      await keys.stop();
      await service.close();
      await database.close();
    },
  };
}

export const caller: Caller = { source: "api", actor: "usr_1", sourceIp: "192.0.2.7", destination: "shop.example/pay" };
