import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { CardStore, type CardStoreParts, CvvSlots } from "../../src/cards/index.ts";
import { CommitInDoubt, StoreUnavailable } from "../../src/core/errors.ts";
import { Pan } from "../../src/core/pan.ts";
import type { Database } from "../../src/core/ports.ts";
import { KeyStore } from "../../src/keys/index.ts";
import { makeToken } from "../../src/tokens/index.ts";
import { AuditLog, errorClassOf, migrate, migrations, MySqlDatabase, verifyAudit } from "../../src/storage/index.ts";
import { madePan } from "../corpus.ts";
import { MemoryKeys } from "../memory-keys.ts";
import { CountingMeters, Records } from "../records.ts";
import { until } from "../until.ts";
import { caller, login, tenant } from "./platform.ts";
import { type MySqlServer, needMySql, startMySql, stopAll } from "./servers.ts";
import { Wire } from "./wire.ts";

/** Longer than any hand-over here takes, on a busy machine too. Milliseconds. */
const patient = 60_000;

/** A pool, its keys and its cards. */
interface Replica {
  readonly database: MySqlDatabase;
  readonly cards: CardStore;
  readonly slots: CvvSlots;
}

/** What became of a load. */
interface Load {
  /** Card numbers by the tokens that were given out for them. */
  readonly acknowledged: ReadonlyMap<string, string>;
  readonly failures: readonly unknown[];
}

describe("a hand-over of the database", function () {
  let server: MySqlServer;
  let wire: Wire;
  let port: number;
  let one: Replica;
  const opened: { stop(): Promise<void> }[] = [];
  let seed = 0;

  async function asRoot(...statements: readonly string[]): Promise<readonly Record<string, unknown>[]> {
    const ssl = { ca: server.authority.certificate };
    const password = server.rootPassword;
    const root = await createConnection({ host: "127.0.0.1", port: server.port, user: "root", password, ssl });
    let rows: unknown;
    for (const statement of statements) [rows] = await root.query(statement);
    await root.end();
    return rows as readonly Record<string, unknown>[];
  }

  async function count(table: string): Promise<number> {
    const [row] = await asRoot(`SELECT COUNT(*) AS total FROM tokenshield.${table}`);
    return Number(row?.["total"]);
  }

  const readOnly = (state: "ON" | "OFF"): Promise<unknown> =>
    asRoot(...(state === "ON" ? ["SET GLOBAL super_read_only = ON"] : ["SET GLOBAL read_only = OFF"]));

  async function openDatabase(handOverWait: number): Promise<MySqlDatabase> {
    const ca = server.authority.certificate;
    const options = { host: "localhost", port, database: "tokenshield", poolSize: 8, ca, handOverWait };
    const database = await MySqlDatabase.open(options, [login]);
    opened.push({ stop: () => database.close() });
    return database;
  }

  async function replica(handOverWait: number, how: Partial<CardStoreParts> = {}): Promise<Replica> {
    const database = await openDatabase(handOverWait);
    const log = new Records();
    const audit = new AuditLog(
      database,
      () => new Date(),
      () => "",
    );
    const shared = { database, audit, meters: new CountingMeters(), log, tenant };
    // Looks of its own would be cut in the place of what a test does.
    const keys = new KeyStore({ ...shared, service: new MemoryKeys(), interval: 3_600_000 });
    await keys.start();
    opened.push({ stop: () => keys.stop() });
    const cards = new CardStore({ ...shared, keys: keys.dataKeys, format: "prefix", reuse: "never", ...how });
    return { database, cards, slots: new CvvSlots({ database, keys: keys.dataKeys, tenant }) };
  }

  function card(): Pan {
    const pan = Pan.from(madePan("4", 16, (seed += 1)));
    assert.ok(pan !== undefined);
    return pan;
  }

  async function tokenize({ cards }: Replica, pan: Pan): Promise<string> {
    const [made] = await cards.tokenize([{ pan }], caller);
    assert.ok(made !== undefined);
    return made.token;
  }

  /** Tokenizes by eight callers, and does `meanwhile`. */
  async function underLoad(work: (pan: Pan) => Promise<string>, meanwhile: () => Promise<void>): Promise<Load> {
    const acknowledged = new Map<string, string>();
    const failures: unknown[] = [];
    const stop = new AbortController();
    const load = Array.from({ length: 8 }, async () => {
      while (!stop.signal.aborted) {
        const pan = card();
        await work(pan).then(
          (token) => acknowledged.set(token, pan.digits()),
          (error: unknown) => failures.push(error),
        );
      }
    });
    const more = async (): Promise<void> => {
      const before = acknowledged.size;
      await until("cards are stored", patient, () => Promise.resolve(acknowledged.size > before + 20));
    };
    await more();
    await meanwhile();
    await more();
    stop.abort();
    await Promise.all(load);
    return { acknowledged, failures };
  }

  async function assertKept(acknowledged: ReadonlyMap<string, string>): Promise<void> {
    const tokens = [...acknowledged.keys()];
    for (let at = 0; at < tokens.length; at += 200) {
      const part = tokens.slice(at, at + 200);
      (await one.cards.reveal(part, caller, "check")).forEach((shown, index) => {
        assert.equal(shown?.pan.digits(), acknowledged.get(part[index] ?? ""));
      });
    }
  }

  before(async function () {
    server = await startMySql(needMySql(this));
    await asRoot(
      "CREATE DATABASE tokenshield",
      `CREATE USER ${login.user}@'127.0.0.1' IDENTIFIED BY '${login.password}'`,
      `GRANT ALL ON tokenshield.* TO ${login.user}@'127.0.0.1'`,
      "CREATE TABLE tokenshield.notes (id INT PRIMARY KEY, word VARCHAR(20))",
    );
    wire = new Wire(server.port);
    port = await wire.open();
    await migrate(await openDatabase(patient), migrations);
    one = await replica(patient);
  });

  after(async () => {
    await stopAll(...opened.reverse(), wire, server);
  });

  it("fails no request and stores no card twice while the server takes no changes", async () => {
    const before = await count("credit_cards");
    const { acknowledged, failures } = await underLoad(
      async (pan) => {
        const token = await tokenize(one, pan);
        const [shown] = await one.cards.reveal([token], caller, "check");
        assert.equal(shown?.pan.digits(), pan.digits());
        return token;
      },
      async () => {
        await readOnly("ON");
        await sleep(600);
        await readOnly("OFF");
      },
    );
    assert.deepEqual(failures, []);
    assert.equal((await count("credit_cards")) - before, acknowledged.size);
    assert.equal((await verifyAudit(one.database)).intact, true);
  }).timeout(120_000);

  it("fails no request when the server crashes and comes back, and loses and doubles nothing", async () => {
    const before = await count("credit_cards");
    const { acknowledged, failures } = await underLoad(
      (pan) => tokenize(one, pan),
      async () => {
        await server.crash();
        await server.restart();
      },
    );
    assert.deepEqual(failures, []);
    assert.equal((await count("credit_cards")) - before, acknowledged.size);
    await assertKept(acknowledged);
  }).timeout(240_000);

  it("doesn't make anybody wait who asks for how it is now", async () => {
    await readOnly("ON");
    try {
      let runs = 0;
      const change = one.database.atOnce.transaction((session) => {
        runs += 1;
        return session.execute("INSERT INTO notes VALUES (1, 'now')");
      });
      await assert.rejects(change, (error) => errorClassOf(error) === "ER_OPTION_PREVENTS_STATEMENT");
      assert.equal(runs, 1);
      assert.deepEqual(await one.database.atOnce.query("SELECT 1 AS one"), [{ one: 1 }]);
    } finally {
      await readOnly("OFF");
    }
  });

  describe("that is longer than the limit", () => {
    it("refuses at once, with one try at a time, until it is over; reads go on meanwhile", async () => {
      const brief = await replica(300);
      const token = await tokenize(brief, card());
      await readOnly("ON");
      try {
        await assert.rejects(tokenize(brief, card()), StoreUnavailable);
        const before = wire.connections;
        const burst = await Promise.allSettled(
          Array.from({ length: 200 }, (_, id) => brief.database.execute("INSERT INTO notes VALUES (?, 'burst')", [id])),
        );
        assert.ok(burst.every((end) => end.status === "rejected" && end.reason instanceof StoreUnavailable));
        assert.ok(wire.connections - before <= 2, `${wire.connections - before} connections for 200 requests`);
        assert.equal((await brief.cards.get(token))?.lastFour.length, 4);
      } finally {
        await readOnly("OFF");
      }
      await until("it has healed", 30_000, () =>
        tokenize(brief, card()).then(
          () => true,
          () => false,
        ),
      );
      assert.equal(await count("notes"), 0);
      await Promise.all(Array.from({ length: 20 }, () => tokenize(brief, card())));
    }).timeout(60_000);
  });

  describe("a connection that ends", () => {
    /** Stores a card while the connection is cut; both tables must have one row more. */
    async function storedOnce(work: () => Promise<unknown>): Promise<void> {
      const before = [await count("credit_cards"), await count("token_requests")];
      await work();
      const after = [await count("credit_cards"), await count("token_requests")];
      assert.deepEqual(after, [Number(before[0]) + 1, Number(before[1]) + 1]);
    }

    for (const [cut, given] of [
      ["before", 1],
      ["after", 0],
    ] as const) {
      it(`${cut} the commit leaves one card, and its token is the one that is given out`, async () => {
        const made: string[] = [];
        const noting = await replica(patient, {
          makeToken: (format) => {
            made.push(makeToken(format));
            return made.at(-1) ?? "";
          },
        });
        await tokenize(noting, card());
        made.splice(0);
        await storedOnce(async () => {
          wire.cutNext(cut);
          assert.equal(await tokenize(noting, card()), made[given]);
        });
        assert.equal(made.length, 2);
      });
    }

    it("after the commit leaves one token for a card that is given it again", async () => {
      const database = await openDatabase(patient);
      const reusing = await replica(patient, { reuse: "active", database: cutAtCommit(database, wire) });
      const pan = card();
      await storedOnce(async () => {
        const [made] = await reusing.cards.tokenize([{ pan }], caller);
        assert.equal(made?.status, "created");
        assert.equal((await one.cards.find([pan]))[0]?.token, made.token);
      });
    });

    it("after a verification code was kept keeps it once, and it is released", async () => {
      await one.slots.keep(["111"]);
      const before = await count("cvv_slots");
      wire.cutNext("after");
      const [slot] = await one.slots.keep(["987"]);
      assert.equal(await count("cvv_slots"), before + 1);
      assert.equal(await one.slots.release(slot ?? ""), "987");
    });

    it("between two statements has the transaction run again, whole", async () => {
      let runs = 0;
      await one.database.transaction(async (session) => {
        runs += 1;
        await session.execute("INSERT INTO notes VALUES (10, 'first')");
        const [row] = await session.query("SELECT CONNECTION_ID() AS id");
        if (runs === 1) await asRoot(`KILL ${Number(row?.["id"])}`);
        await session.execute("INSERT INTO notes VALUES (11, 'second')");
      });
      assert.equal(runs, 2);
      assert.equal(await count("notes"), 2);
    });

    it("under a read has it asked again", async () => {
      wire.cutNext("after");
      assert.deepEqual(await one.database.query("SELECT COUNT(*) AS total FROM notes"), [{ total: 2 }]);
    });

    it("under a commit is told to who can't tell whether it was made, and nothing is repeated", async () => {
      let runs = 0;
      const cut = one.database.transaction(async (session) => {
        runs += 1;
        await session.execute("INSERT INTO notes VALUES (20, 'in doubt')");
        wire.cutNext("after");
      });
      await assert.rejects(cut, CommitInDoubt);
      assert.equal(runs, 1);
      const change = (): Promise<unknown> =>
        one.database.execute("UPDATE notes SET word = CONCAT(word, '!') WHERE id = 20");
      await change();
      wire.cutNext("after");
      await assert.rejects(change(), CommitInDoubt);
      assert.deepEqual(await one.database.query("SELECT word FROM notes WHERE id = 20"), [{ word: "in doubt!!" }]);
    });
  });
});

/** The database, whose first transaction is cut after its commit. */
function cutAtCommit(database: MySqlDatabase, wire: Wire): Database {
  let left = 1;
  return {
    atOnce: database.atOnce,
    query: database.query.bind(database),
    execute: database.execute.bind(database),
    together: database.together.bind(database),
    withLock: database.withLock.bind(database),
    transaction: (work) =>
      database.transaction(async (session) => {
        const result = await work(session);
        if (left > 0) wire.cutNext("after");
        left -= 1;
        return result;
      }),
  };
}
