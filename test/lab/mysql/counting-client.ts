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
}

/** Answer to `mark`. */
export interface Marked {
  readonly acknowledged: number;
  /** Seconds. */
  readonly outage: number;
  readonly refusedLogins: number;
}

/** Answer to `stop`. */
export interface Verdict {
  readonly acknowledged: number;
  /** Acknowledged rows that a member lacks, by its host; hosts with none are absent. */
  readonly lost: Readonly<Record<string, number>>;
  /** How often the server that takes the writes was another one than before, in the order of commits. */
  readonly changes: number;
  readonly refusedLogins: number;
  readonly logins: number;
}

const table = "tokenshield.counted";

class CountingClient {
  readonly #settings: ClientSettings;
  readonly #acknowledged: number[] = [];
  #running = true;
  #marked = 0;
  #lastAt = performance.now();
  #longest = 0;
  #refused = 0;
  #logins = 0;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  async run(): Promise<void> {
    const { writers } = this.#settings;
    await this.#patiently(async (session) => {
      await session.run(`DROP TABLE IF EXISTS ${table}`);
      await session.run(
        `CREATE TABLE ${table} (id BIGINT PRIMARY KEY, server CHAR(36) NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT NOW(6))`,
      );
    });
    this.#lastAt = performance.now();
    const work = Promise.all(Array.from({ length: writers }, (_, index) => this.#write(index)));
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
    const marked = {
      acknowledged: count - this.#marked,
      outage: Math.max(this.#longest, performance.now() - this.#lastAt) / 1000,
      refusedLogins: this.#refused,
    };
    this.#marked = count;
    this.#longest = 0;
    this.#lastAt = performance.now();
    return marked;
  }

  async #write(index: number): Promise<void> {
    let session: Session | undefined;
    for (let row = index * 1_000_000_000; this.#running; row += 1) {
      try {
        session ??= await this.#login(this.#settings.primary, 3_000);
        await session.run(`INSERT INTO ${table} (id, server) VALUES (?, @@server_uuid)`, [row]);
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

  async #login(host: string, timeout: number): Promise<Session> {
    const { user, passwordFile, caFile } = this.#settings;
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
    for (const host of this.#settings.members) {
      const missing = await this.#patiently(async (session) => {
        await session.run("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", [executed], 70_000);
        const rows = await session.run(`SELECT id FROM ${table}`, [], 60_000);
        const found = new Set(rows.map((row) => Number(text(row, "id"))));
        return this.#acknowledged.filter((row) => !found.has(row)).length;
      }, host);
      if (missing > 0) lost[host] = missing;
    }
    const changes = await this.#patiently(async (session) => {
      const counted = await session.one(
        `SELECT COALESCE(SUM(server <> before_it), 0) AS changes
           FROM (SELECT server, LAG(server, 1, server) OVER (ORDER BY at) AS before_it FROM ${table}) AS ordered`,
      );
      return Number(text(counted, "changes"));
    });
    await this.#patiently((session) => session.run(`DROP TABLE ${table}`));
    return {
      acknowledged: this.#acknowledged.length,
      lost,
      changes,
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
