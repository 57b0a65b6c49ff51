import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { MySqlDatabase } from "../../src/storage/index.ts";
import { until } from "../until.ts";
import { login } from "./platform.ts";
import { type MySqlServer, needMySql, startMySql, stopAll } from "./servers.ts";
import { Wire } from "./wire.ts";

const poolSize = 6;

describe("the next primary", function () {
  let former: MySqlServer;
  let next: MySqlServer;
  let wire: Wire;
  let database: MySqlDatabase;

  async function asRoot(server: MySqlServer, ...statements: readonly string[]): Promise<readonly unknown[]> {
    const { port, rootPassword: password, authority } = server;
    const ssl = { ca: authority.certificate };
    const root = await createConnection({ host: "127.0.0.1", port, user: "root", password, ssl });
    let rows: unknown;
    for (const statement of statements) [rows] = await root.query(statement);
    await root.end();
    return rows as readonly unknown[];
  }

  /** Numbers that a server has. */
  const numbers = async (server: MySqlServer): Promise<readonly number[]> =>
    (await asRoot(server, "SELECT id FROM tokenshield.numbers")).map((row) => (row as { id: number }).id);

  /** Ports of the servers that the pool's connections lead to, when all are used at once. */
  async function ports(): Promise<ReadonlySet<unknown>> {
    const rows = await Promise.all(
      Array.from({ length: poolSize }, () => database.query("SELECT @@port AS port, SLEEP(0.05)")),
    );
    return new Set(rows.map(([row]) => row?.["port"]));
  }

  /** Leads to a server, which is the only one that takes changes. */
  async function lead(server: MySqlServer): Promise<void> {
    await asRoot(server, "SET GLOBAL read_only = OFF");
    wire.leadTo(server.port);
  }

  before(async function () {
    const root = needMySql(this);
    former = await startMySql(root);
    next = await startMySql(root);
    for (const server of [former, next]) {
      await asRoot(
        server,
        "CREATE DATABASE tokenshield",
        "CREATE TABLE tokenshield.numbers (id INT PRIMARY KEY)",
        `CREATE USER ${login.user}@'127.0.0.1' IDENTIFIED BY '${login.password}'`,
        `GRANT ALL ON tokenshield.* TO ${login.user}@'127.0.0.1'`,
      );
    }
    wire = new Wire(former.port);
    const port = await wire.open();
    const ca = `${former.authority.certificate}\n${next.authority.certificate}`;
    const options = { host: "localhost", port, database: "tokenshield", poolSize, ca, handOverWait: 60_000 };
    database = await MySqlDatabase.open(options, [login]);
  });

  beforeEach(async () => {
    await asRoot(next, "SET GLOBAL super_read_only = ON");
    await lead(former);
  });

  after(async () => {
    await stopAll(
      { stop: () => (database as MySqlDatabase | undefined)?.close() ?? Promise.resolve() },
      wire,
      former,
      next,
    );
  });

  it("gets every connection once one was told that the former takes no changes, idle ones too", async () => {
    assert.deepEqual(await ports(), new Set([former.port]));
    await asRoot(former, "SET GLOBAL super_read_only = ON");
    await lead(next);
    assert.deepEqual(await ports(), new Set([former.port]), "nobody has found out");
    const running = database.query("SELECT @@port AS port, SLEEP(1)");
    let runs = 0;
    await database.transaction((session) => {
      runs += 1;
      return session.execute("INSERT INTO numbers VALUES (1)");
    });
    assert.equal(runs, 2, "the second run is on a new connection, not on the next old one");
    assert.deepEqual([await numbers(former), await numbers(next)], [[], [1]]);
    assert.equal((await running)[0]?.["port"], former.port, "what runs ends where it is");
    assert.deepEqual(await ports(), new Set([next.port]));
    await until("the former server has no connection of the pool", 30_000, async () => {
      const sessions = await asRoot(
        former,
        `SELECT id FROM information_schema.processlist WHERE user = '${login.user}'`,
      );
      return sessions.length === 0;
    });
    assert.equal(database.connections.used, 0);
  });

  it("gets the changes, each once, and none fails, also where the address is late and leads nowhere meanwhile", async () => {
    // The pool's connections lead to the other server, as the test before has left them.
    await database.execute("INSERT INTO numbers VALUES (0)");
    const written = [0, 1];
    const failures: unknown[] = [];
    const stop = new AbortController();
    const load = Array.from({ length: 12 }, async (_, worker) => {
      for (let count = 1; !stop.signal.aborted; count += 1) {
        const id = worker * 1_000_000 + count;
        const change =
          count % 2 === 0
            ? database.execute("INSERT INTO numbers VALUES (?)", [id])
            : database.transaction(async (session) => {
                await session.query("SELECT id FROM numbers WHERE id = ? FOR UPDATE", [id]);
                await session.execute("INSERT INTO numbers VALUES (?)", [id]);
              });
        await change.then(
          () => written.push(id),
          (error: unknown) => failures.push(error),
        );
      }
    });
    const more = async (): Promise<void> => {
      const before = written.length;
      await until("numbers are written", 60_000, () => written.length > before + 50);
    };
    await more();
    await asRoot(former, "SET GLOBAL super_read_only = ON");
    await sleep(200);
    wire.leadTo(1);
    await sleep(200);
    await lead(next);
    await more();
    stop.abort();
    await Promise.all(load);
    assert.deepEqual(failures, []);
    const stored = [...(await numbers(former)), ...(await numbers(next))];
    assert.deepEqual(
      stored.toSorted((a, b) => a - b),
      written.toSorted((a, b) => a - b),
    );
  }).timeout(180_000);
});
