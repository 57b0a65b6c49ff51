import assert from "node:assert/strict";
import { TLSSocket } from "node:tls";
import { queryObjects } from "node:v8";
import { createConnection } from "mysql2/promise";
import { StoreUnavailable } from "../../src/core/errors.ts";
import { DuplicateEntry } from "../../src/core/ports.ts";
import {
  type DatabaseOptions,
  errorClassOf,
  migrate,
  migrations,
  MySqlDatabase,
  SchemaMismatch,
  StatementRefused,
} from "../../src/storage/index.ts";
import { PoolGeneration } from "../../src/storage/pool.ts";
import { until } from "../until.ts";
import { type MySqlServer, needMySql, startMySql, stopAll } from "./servers.ts";

describe("storage", function () {
  let server: MySqlServer;
  let options: DatabaseOptions;
  let database: MySqlDatabase;
  const first = { user: "tokenizer", password: "first-Password-1" };

  async function asRoot(...statements: readonly string[]): Promise<void> {
    const ssl = { ca: server.authority.certificate };
    const root = await createConnection({
      host: "127.0.0.1",
      port: server.port,
      user: "root",
      password: server.rootPassword,
      ssl,
    });
    for (const statement of statements) await root.query(statement);
    await root.end();
  }

  before(async function () {
    server = await startMySql(needMySql(this));
    await asRoot(
      "CREATE DATABASE tokenshield",
      `CREATE USER tokenizer@'127.0.0.1' IDENTIFIED BY '${first.password}'`,
      "GRANT ALL ON tokenshield.* TO tokenizer@'127.0.0.1'",
    );
    options = {
      host: "localhost",
      port: server.port,
      database: "tokenshield",
      poolSize: 8,
      ca: server.authority.certificate,
      // Beside other suites a login may take seconds.
      connectTimeout: 30_000,
      acquireTimeout: 30_000,
    };
    database = await MySqlDatabase.open(options, [first]);
  });

  after(async () => {
    await stopAll({ stop: () => (database as MySqlDatabase | undefined)?.close() ?? Promise.resolve() }, server);
  });

  it("applies each step of the schema once, by one of several replicas that start together", async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => MySqlDatabase.open(options, [first])));
    const applied = await Promise.all(replicas.map((replica) => migrate(replica, migrations)));
    await Promise.all(replicas.map((replica) => replica.close()));
    assert.deepEqual(
      applied.flat(),
      migrations.map(({ version }) => version),
    );
    assert.deepEqual(await migrate(database, migrations), []);
  });

  it("gives every table a primary key", async () => {
    const rows = await database.query(
      `SELECT t.table_name AS name FROM information_schema.tables t
       LEFT JOIN information_schema.table_constraints c ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.constraint_type = 'PRIMARY KEY'
       WHERE t.table_schema = 'tokenshield' AND c.constraint_name IS NULL`,
    );
    assert.deepEqual(rows, []);
  });

  it("refuses an applied step that was changed later", async () => {
    const changed = migrations.map((step) => (step.version === 1 ? { ...step, statements: ["SELECT 1"] } : step));
    await assert.rejects(migrate(database, changed), SchemaMismatch);
  });

  it("talks over TLS 1.2 or newer and to no server of another authority or name", async () => {
    const [row] = await database.query("SHOW STATUS LIKE 'Ssl_version'");
    assert.match(String(row?.["Value"]), /^TLSv1\.[23]$/);
    const { makeAuthority } = await import("./certificates.ts");
    const stranger = makeAuthority().certificate;
    await assert.rejects(MySqlDatabase.open({ ...options, ca: stranger }, [first]), StoreUnavailable);
  });

  it("takes whole numbers in LIMIT, and lists longer than a prepared statement", async () => {
    await database.execute("CREATE TABLE numbers (id INT PRIMARY KEY, word VARBINARY(20))");
    const values = Array.from({ length: 100 }, (_, id) => [id, Buffer.from(`word'${id}`)]).flat();
    await database.execute(
      `INSERT INTO numbers VALUES ${Array.from({ length: 100 }, () => "(?, ?)").join(", ")}`,
      values,
    );
    const rows = await database.query("SELECT id, word FROM numbers ORDER BY id LIMIT ? OFFSET ?", [2, 50]);
    assert.deepEqual(
      rows.map((row) => [row["id"], String(row["word"])]),
      [
        [50, "word'50"],
        [51, "word'51"],
      ],
    );
  });

  it("rolls back what failed, names the index of a duplicate, and shows no value in an error", async () => {
    const failed = database.transaction(async (session) => {
      await session.execute("INSERT INTO numbers VALUES (1000, 'x')");
      await session.execute("INSERT INTO numbers VALUES (?, 'secret-value')", [50]);
    });
    await assert.rejects(failed, (error: unknown) => {
      assert.ok(error instanceof DuplicateEntry);
      assert.equal(error.index, "PRIMARY");
      assert.doesNotMatch(`${error.stack ?? ""}${JSON.stringify(error)}`, /secret-value/);
      return true;
    });
    assert.deepEqual(await database.query("SELECT id FROM numbers WHERE id = 1000"), []);
    await assert.rejects(database.query("SELECT nothing FROM nowhere WHERE a = 'secret-value'"), StatementRefused);
  });

  it("repeats a transaction that lost a deadlock", async () => {
    let tries = 0;
    let letOn = (): void => undefined;
    const bothHoldOne = new Promise<void>((resolve) => (letOn = resolve));
    const cross = (one: number, other: number): Promise<void> =>
      database.transaction(async (session) => {
        await session.execute("UPDATE numbers SET word = 'a' WHERE id = ?", [one]);
        tries += 1;
        if (tries === 2) letOn();
        await bothHoldOne;
        await session.execute("UPDATE numbers SET word = 'a' WHERE id = ?", [other]);
      });
    await Promise.all([cross(1, 2), cross(2, 1)]);
    assert.ok(tries > 2, `${tries} tries`);
  });

  it("changes its password while it works: new connections use the new one, running work ends on the old one", async () => {
    const second = { user: "tokenizer", password: "second-Password-2" };
    const running = database.transaction(async (session) => {
      await session.query("SELECT SLEEP(0.5)");
      return session.query("SELECT 1 AS one");
    });
    await asRoot(`ALTER USER tokenizer@'127.0.0.1' IDENTIFIED BY '${second.password}' RETAIN CURRENT PASSWORD`);
    await database.useCredentials(second);
    await asRoot("ALTER USER tokenizer@'127.0.0.1' DISCARD OLD PASSWORD");
    assert.deepEqual(await database.query("SELECT 2 AS two"), [{ two: 2 }]);
    assert.deepEqual(await running, [{ one: 1 }]);
    await assert.rejects(
      MySqlDatabase.open(options, [first]),
      (error) => errorClassOf(error) === "ER_ACCESS_DENIED_ERROR",
    );
    const either = await MySqlDatabase.open(options, [first, second]);
    await either.close();
  });

  it("refuses nobody whose connection would have been one of the old password, and keeps nothing of old pools", async () => {
    // Counted after a collection of garbage, which queryObjects begins with.
    const kept = (): readonly [pools: number, sockets: number] => [
      Number(queryObjects(PoolGeneration)),
      Number(queryObjects(TLSSocket)),
    ];
    const stop = new AbortController();
    const load = Array.from({ length: options.poolSize * 2 }, async () => {
      while (!stop.signal.aborted) assert.equal((await database.query("SELECT ? AS n", [5]))[0]?.["n"], "5");
    });
    const [pools] = kept();
    for (let round = 0; round < 12; round += 1) {
      const next = { user: "tokenizer", password: `round-Password-${round}` };
      await asRoot(`ALTER USER tokenizer@'127.0.0.1' IDENTIFIED BY '${next.password}' RETAIN CURRENT PASSWORD`);
      await database.useCredentials(next);
      await asRoot("ALTER USER tokenizer@'127.0.0.1' DISCARD OLD PASSWORD");
    }
    stop.abort();
    await Promise.all(load);
    await until("what old pools had is gone", 30_000, () => {
      const [now, sockets] = kept();
      // What other tests have let go of may still have been there at the start.
      return now <= pools && sockets <= 2 * options.poolSize;
    });
  });

  it("keeps the old password when the new one is refused", async () => {
    await assert.rejects(database.useCredentials({ user: "tokenizer", password: "wrong" }), StoreUnavailable);
    assert.deepEqual(await database.query("SELECT 3 AS three"), [{ three: 3 }]);
  });

  it("is unavailable while the server is down, and works again by itself", async () => {
    await server.crash();
    await assert.rejects(database.query("SELECT 1"), StoreUnavailable);
    await server.restart();
    assert.deepEqual(await database.query("SELECT 4 AS four"), [{ four: 4 }]);
  });
});
