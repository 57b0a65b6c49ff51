/**
 * A client that writes rows to the primary's Service and remembers each one that was acknowledged. Runs in a pod.
 * Settings come as one JSON object in its only argument, none of them secret; commands as lines of standard input;
 * answers are lines of JSON.
 *
 * | Command | Answer |
 * |---|---|
 * | `mark` | acknowledged rows, and the longest time without one, since the command before |
 * | `stop` | what became of every acknowledged row, on every member |
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { accessDenied, type Login, MySqlRefusal, Session, text } from "@tokenshield/mysql";
import { allRows, type Row, type Term, termsOf } from "./terms.ts";

/** How the client is told to work. */
export interface ClientSettings {
  /** Host of the primary's Service. */
  readonly primary: string;
  /** Hosts of the members. */
  readonly members: readonly string[];
  readonly user: string;
  /** File with the password; with `-previous` the one before. */
  readonly passwordFile: string;
  readonly caFile: string;
  readonly writers: number;
  /** Milliseconds between two rows of a writer. */
  readonly pause: number;
  /** Milliseconds between two rows that are also tried on each member itself, whoever leads; absent: none are. */
  readonly knock?: number;
  /** Further accounts that log in again and again, to see that none is refused. */
  readonly visitors?: readonly Visitor[];
}

/** An account that logs in and does nothing. */
export interface Visitor {
  readonly user: string;
  readonly passwordFile: string;
}

/** Answer to `mark`. */
export interface Marked {
  readonly acknowledged: number;
  /** The time since the command before, in seconds. */
  readonly seconds: number;
  /** Seconds. */
  readonly outage: number;
  readonly refusedLogins: number;
}

/** Answer to `stop`. */
export interface Verdict {
  readonly acknowledged: number;
  /** Of them, those that a member acknowledged that was asked itself, not through the primary's Service. */
  readonly direct: number;
  /** Acknowledged rows that a member lacks, by its host; hosts with none are absent. */
  readonly lost: Readonly<Record<string, number>>;
  /** Who took writes, one after the other, as all rows that are in the table tell; two that write at a time alternate. */
  readonly terms: readonly Term[];
  readonly refusedLogins: number;
  readonly logins: number;
}

const table = "tokenshield.counted";
const insert = `INSERT INTO ${table} (id, server) VALUES (?, @@server_id)`;
/** ER_OPTION_PREVENTS_STATEMENT: the member is read-only. */
const readOnly = 1290;
/** Rows of one writer. */
const range = 1_000_000_000;

class CountingClient {
  readonly #settings: ClientSettings;
  readonly #acknowledged: number[] = [];
  #direct = 0;
  #running = true;
  #marked = 0;
  #markedAt = 0;
  #lastAt = performance.now();
  #longest = 0;
  #refused = 0;
  #logins = 0;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  async run(): Promise<void> {
    const { knock, members, visitors = [], writers } = this.#settings;
    await this.#patiently(async (session) => {
      await session.run(`DROP TABLE IF EXISTS ${table}`);
      await session.run(
        `CREATE TABLE ${table} (id BIGINT PRIMARY KEY, server INT NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT NOW(6))`,
      );
    });
    this.#lastAt = performance.now();
    this.#markedAt = this.#lastAt;
    const work = Promise.all([
      ...Array.from({ length: writers }, (_, index) => this.#write(index)),
      ...(knock === undefined ? [] : members.map((host, index) => this.#knock(host, writers + index, knock))),
      ...visitors.map((visitor) => this.#visit(visitor)),
    ]);
    process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
    for await (const line of createInterface({ input: process.stdin })) {
      if (line === "mark") process.stdout.write(`${JSON.stringify(this.#mark())}\n`);
      if (line === "stop") break;
    }
    this.#running = false;
    await work;
    process.stdout.write(`${JSON.stringify(await this.#verdict())}\n`);
  }

  #mark(): Marked {
    const count = this.#acknowledged.length;
    const now = performance.now();
    const marked = {
      acknowledged: count - this.#marked,
      seconds: (now - this.#markedAt) / 1000,
      outage: Math.max(this.#longest, now - this.#lastAt) / 1000,
      refusedLogins: this.#refused,
    };
    this.#marked = count;
    this.#markedAt = now;
    this.#longest = 0;
    this.#lastAt = now;
    return marked;
  }

  async #write(index: number): Promise<void> {
    let session: Session | undefined;
    for (let row = index * range; this.#running; row += 1) {
      try {
        session ??= await this.#login(this.#settings.primary, 3_000);
        await session.run(insert, [row]);
        this.#acknowledged.push(row);
        const now = performance.now();
        this.#longest = Math.max(this.#longest, now - this.#lastAt);
        this.#lastAt = now;
        // A login now and then, so that passwords are used while they change.
        if (row % 200 === 0) {
          session.close();
          session = undefined;
        }
        await sleep(this.#settings.pause);
      } catch (error) {
        if (error instanceof MySqlRefusal && error.errno === accessDenied) this.#refused += 1;
        session?.close();
        session = undefined;
        await sleep(100);
      }
    }
    session?.close();
  }

  /** Tries to write on one member, whether or not it leads: what it should not take would be seen in the table. */
  async #knock(host: string, index: number, pause: number): Promise<void> {
    let session: Session | undefined;
    for (let row = index * range; this.#running; row += 1) {
      try {
        session ??= await this.#login(host, 2_000);
        await session.run(insert, [row]);
        this.#acknowledged.push(row);
        this.#direct += 1;
      } catch (error) {
        if (!(error instanceof MySqlRefusal)) throw error;
        if (error.errno === accessDenied) this.#refused += 1;
        // A secondary refuses and can be asked again.
        if (error.errno !== readOnly) {
          session?.close();
          session = undefined;
        }
      }
      await sleep(pause);
    }
    session?.close();
  }

  async #visit(visitor: Visitor): Promise<void> {
    while (this.#running) {
      try {
        (await this.#login(this.#settings.primary, 3_000, visitor)).close();
      } catch (error) {
        if (!(error instanceof MySqlRefusal)) throw error;
        if (error.errno === accessDenied) this.#refused += 1;
      }
      await sleep(100);
    }
  }

  async #login(host: string, timeout: number, as: Visitor = this.#settings): Promise<Session> {
    const { caFile } = this.#settings;
    const { user, passwordFile } = as;
    const login: Login = {
      host,
      port: 3306,
      user,
      password: readFileSync(passwordFile, "utf8").trimEnd(),
      ca: readFileSync(caFile, "utf8"),
      program: "counting-client",
      timeout,
    };
    this.#logins += 1;
    return Session.open(login);
  }

  /** Looks on every member, once it has all that the primary has. */
  async #verdict(): Promise<Verdict> {
    const executed = await this.#patiently(async (session) =>
      text(await session.one("SELECT @@gtid_executed AS executed"), "executed").replaceAll("\n", ""),
    );
    const lost: Record<string, number> = {};
    let rows: readonly Row[] = [];
    for (const host of this.#settings.members) {
      rows = await this.#patiently(async (session) => {
        await session.run("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", [executed], 70_000);
        return allRows(session, table);
      }, host);
      const found = new Set(rows.map(({ id }) => id));
      const missing = this.#acknowledged.filter((row) => !found.has(row)).length;
      if (missing > 0) lost[host] = missing;
    }
    await this.#patiently((session) => session.run(`DROP TABLE ${table}`));
    return {
      acknowledged: this.#acknowledged.length,
      direct: this.#direct,
      lost,
      terms: termsOf(rows),
      refusedLogins: this.#refused,
      logins: this.#logins,
    };
  }

  /** Tries again for two minutes: a fail-over may be under way. */
  async #patiently<Result>(
    work: (session: Session) => Promise<Result>,
    host = this.#settings.primary,
  ): Promise<Result> {
    const end = performance.now() + 120_000;
    for (;;) {
      let session: Session | undefined;
      try {
        session = await this.#login(host, 60_000);
        return await work(session);
      } catch (error) {
        if (performance.now() > end) throw error;
        await sleep(500);
      } finally {
        session?.close();
      }
    }
  }
}

await new CountingClient(JSON.parse(process.argv[2] ?? "{}") as ClientSettings).run();
