import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { accessDenied, MySqlRefusal, Session } from "@tokenshield/mysql";
import { valueDigest } from "@tokenshield/rotation";

/** Where a client works. */
export interface ClientPlace {
  readonly port: number;
  readonly ca: string;
  /** Folder with one file a group. */
  readonly files: string;
  readonly tenant: string;
  readonly group: string;
}

/**
 * A consumer of the application's account, as a service with a pool is: it logs in and writes all the time with the
 * value that it has, reads its file now and then, goes over to a new value once a login with it has worked, and tells
 * at its metrics what it uses.
 */
export class Client {
  readonly name: string;
  /** Milliseconds between two looks at its file. */
  readonly #poll: number;
  readonly #stop = new AbortController();
  readonly #server: Server;
  #work: Promise<unknown> = Promise.resolve();
  #inUse = { password: "", generation: 0, digest: "" };
  /** Logins that the server refused because of the password. */
  refused = 0;
  logins = 0;
  writes = 0;
  /** While set, it reads no file: it stays with what it has. */
  stuck = false;

  constructor(name: string, poll: number) {
    this.name = name;
    this.#poll = poll;
    this.#server = createServer((_request, response) => {
      response.end(
        `secret_in_use_generation{tenant_id="acme",secret_group="database_credentials",digest="${this.#inUse.digest}"} ${this.#inUse.generation}\n`,
      );
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get generation(): number {
    return this.#inUse.generation;
  }

  get password(): string {
    return this.#inUse.password;
  }

  async start(place: ClientPlace): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    while (this.#inUse.generation === 0) {
      await this.#read(place);
      await sleep(50);
    }
    this.#work = Promise.all([this.#follow(place), this.#use(place), this.#use(place)]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #follow(place: ClientPlace): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (!this.stuck) await this.#read(place);
      await this.#pause(this.#poll);
    }
  }

  async #read({ files, group, tenant, port, ca }: ClientPlace): Promise<void> {
    let values: Record<string, string>;
    try {
      values = JSON.parse(readFileSync(join(files, group), "utf8")) as Record<string, string>;
    } catch {
      return;
    }
    const { password = "", generation = "0" } = values;
    if (Number(generation) === this.#inUse.generation) return;
    if (!(await this.#login({ port, ca }, password))) return;
    this.#inUse = { password, generation: Number(generation), digest: valueDigest(tenant, group, { password }) };
  }

  async #use({ port, ca }: ClientPlace): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const worked = await this.#login({ port, ca }, this.#inUse.password);
      await this.#pause(worked ? 20 : 50);
    }
  }

  /** Logs in and writes a row. @returns whether that worked; a refusal is counted */
  async #login({ port, ca }: { port: number; ca: string }, password: string): Promise<boolean> {
    this.logins += 1;
    let session: Session | undefined;
    try {
      session = await Session.open({
        host: "127.0.0.1",
        port,
        user: "tokenshield",
        password,
        ca,
        program: "test",
        timeout: 20_000,
      });
      await session.run("CREATE TABLE IF NOT EXISTS tokenshield.rotated (id BIGINT AUTO_INCREMENT PRIMARY KEY)");
      await session.run("INSERT INTO tokenshield.rotated () VALUES ()");
      this.writes += 1;
      return true;
    } catch (error) {
      if (error instanceof MySqlRefusal && error.errno === accessDenied) this.refused += 1;
      return false;
    } finally {
      session?.close();
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
