import { setTimeout as sleep } from "node:timers/promises";
import { accessDenied, MySqlRefusal, Session } from "@tokenshield/mysql";
import type { TestGroup } from "./group.ts";

/**
 * A client that writes numbered rows to whichever member carries the primary's label, and remembers each row that was
 * acknowledged. It logs in anew when a write fails, as a pool would.
 */
export class Writer {
  readonly acknowledged: number[] = [];
  /** Logins that the server refused because of the password. */
  refusedLogins = 0;
  logins = 0;
  readonly #group: TestGroup;
  readonly #first: number;
  readonly #every: number;
  #running = true;
  #done: Promise<void> = Promise.resolve();
  #lastAt = performance.now();
  #longest = 0;

  /**
   * @param first number of the first row; ranges of writers must not touch
   * @param every milliseconds between writes
   */
  constructor(group: TestGroup, first: number, every = 4) {
    this.#group = group;
    this.#first = first;
    this.#every = every;
  }

  start(): this {
    this.#lastAt = performance.now();
    this.#done = this.#write();
    return this;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  /** @returns the longest time without an acknowledged row since the last call, in seconds */
  takeOutage(): number {
    const longest = Math.max(this.#longest, performance.now() - this.#lastAt);
    this.#longest = 0;
    return longest / 1000;
  }

  async #write(): Promise<void> {
    let session: Session | undefined;
    for (let row = this.#first; this.#running; row += 1) {
      try {
        session ??= await this.#login();
        if (session === undefined) {
          await sleep(50);
          continue;
        }
        await session.run("INSERT INTO tokenshield.written (id) VALUES (?)", [row]);
        this.acknowledged.push(row);
        const now = performance.now();
        this.#longest = Math.max(this.#longest, now - this.#lastAt);
        this.#lastAt = now;
        // A login now and then, so that passwords are used while they change.
        if (row % 25 === 0) {
          session.close();
          session = undefined;
        }
        await sleep(this.#every);
      } catch (error) {
        if (error instanceof MySqlRefusal && error.errno === accessDenied) this.refusedLogins += 1;
        session?.close();
        session = undefined;
        await sleep(50);
      }
    }
    session?.close();
  }

  async #login(): Promise<Session | undefined> {
    const [name] = this.#group.api.withRole("primary");
    if (name === undefined) return undefined;
    this.logins += 1;
    return Session.open({ ...this.#group.login(this.#group.member(name), "app"), timeout: 2_000 });
  }
}
