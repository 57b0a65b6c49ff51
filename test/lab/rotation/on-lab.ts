import { spawn } from "node:child_process";
import { Resolver } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { accessDenied, MySqlRefusal, Session } from "@tokenshield/mysql";
import { groupPath, ledgerPath, parseLedger, type RotationLedger } from "@tokenshield/rotation";
import { Agent, fetch } from "undici";
import { testCard } from "../../../lab/src/demo/journey.ts";
import { network } from "../../../lab/src/network.ts";
import { parseReports } from "../../../services/rotator/src/consumers/index.ts";
import { namespace } from "../support/deploy.ts";
import { kubectl, vault } from "../support/lab.ts";

const root = join(import.meta.dirname, "../../..");
const mount = "tokenshield-lab";
const tenant = "acme";

/** Runs `npm run rotate -- …`, and returns its exit status and what it printed. */
export function rotate(
  ...words: readonly string[]
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, "lab/src/rotate/main.ts"), ...words], { cwd: root });
    const [out, errors]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    child.once("error", reject);
    child.once("close", (status) => {
      resolve({
        status: status ?? 137,
        stdout: Buffer.concat(out).toString("utf8"),
        stderr: Buffer.concat(errors).toString("utf8"),
      });
    });
  });
}

interface Versioned {
  readonly data: {
    readonly data: Readonly<Record<string, string>>;
    readonly metadata: { readonly version: number; readonly created_time: string };
  };
}

async function kv(path: string): Promise<Versioned["data"]> {
  const text = await vault("read", "-format=json", `${mount}/data/${path}`);
  return (JSON.parse(text) as Versioned).data;
}

/** A class's ledger, and the version of it. */
export async function ledgerOf(
  className: string,
): Promise<{ readonly ledger: RotationLedger; readonly version: number }> {
  const path = ledgerPath(tenant, className);
  const { data, metadata } = await kv(path);
  return { ledger: parseLedger(JSON.stringify(data), path), version: metadata.version };
}

/** What is published of a group, and when it was written. */
export async function published(
  group: string,
): Promise<{ readonly values: Readonly<Record<string, string>>; readonly at: Date; readonly version: number }> {
  const { data, metadata } = await kv(groupPath(tenant, group));
  return { values: data, at: new Date(metadata.created_time), version: metadata.version };
}

/** One process that tells which generation it works with. */
export interface Teller {
  readonly pod: string;
  readonly group: string;
  readonly url: string;
}

/** Every tokenizer, of the application's login, and every member, of root's. */
export async function tellers(): Promise<readonly Teller[]> {
  const { items } = JSON.parse(await kubectl("get", "pods", "-n", namespace, "-o", "json")) as {
    items: readonly {
      readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
      readonly status: { readonly podIP?: string };
    }[];
  };
  return items.flatMap(({ metadata: { name, labels }, status: { podIP = "" } }) => {
    const part = labels?.["component"];
    if (part === "tokenizer")
      return [{ pod: name, group: "database_credentials", url: `https://${podIP}:8090/metrics` }];
    if (part === "database") return [{ pod: name, group: "database_root", url: `http://${podIP}:9104/metrics` }];
    return [];
  });
}

/** Generations by process, as each tells it itself; a process without an answer is absent. */
export async function generations(asked: readonly Teller[]): Promise<ReadonlyMap<string, number>> {
  // Who they are is the rotator's to check; here it is the time that counts.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    const answers = await Promise.all(
      asked.map(async ({ pod, group, url }): Promise<readonly [string, number][]> => {
        try {
          const text = await (await fetch(url, { dispatcher, signal: AbortSignal.timeout(3_000) })).text();
          return parseReports(text)
            .filter((report) => report.group === group)
            .map(({ generation }) => [pod, generation]);
        } catch {
          // A pod that is busy tells it the next time.
          return [];
        }
      }),
    );
    return new Map(answers.flat());
  } finally {
    await dispatcher.destroy();
  }
}

/** Notes when each process first told a generation, until it is stopped. */
export class Watch {
  readonly seen = new Map<string, Date>();
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;

  constructor(asked: readonly Teller[], generation: number) {
    this.#looking = this.#look(asked, generation);
  }

  async #look(asked: readonly Teller[], generation: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const now = await generations(asked.filter(({ pod }) => !this.seen.has(pod)));
      for (const [pod, told] of now) if (told === generation) this.seen.set(pod, new Date());
      await sleep(500);
    }
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#looking;
  }
}

/** Where a client sends its card, and whom it trusts there, PEM. */
export interface Door {
  readonly ingressUrl: string;
  readonly caBundle: string;
}

const order = { item: "tea", amount: 1250, currency: "EUR", card: { number: testCard, expires: "12/30" } };

/** Orders with a card through the whole path, at a steady pace and each sent once, until it is stopped. */
export class Load {
  sent = 0;
  /** What was answered instead of 201, by how often. */
  readonly failures = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #agent: Agent;
  readonly #sending: Promise<unknown>;

  /** @param perSecond orders a second, all lanes together */
  private constructor({ ingressUrl, caBundle: ca }: Door, address: string, perSecond: number) {
    const { hostname: servername } = new URL(ingressUrl);
    const lookup: LookupFunction = (_host, { all }, found) => {
      if (all === true) found(null, [{ address, family: 4 }]);
      else found(null, address, 4);
    };
    this.#agent = new Agent({ connect: { ca, servername, lookup } });
    const lanes = Math.ceil(perSecond / 2);
    const url = `${ingressUrl}/orders`;
    this.#sending = Promise.all(Array.from({ length: lanes }, () => this.#lane(url, (lanes * 1000) / perSecond)));
  }

  static async begin(door: Door, perSecond: number): Promise<Load> {
    const resolver = new Resolver();
    resolver.setServers([network.dnsService]);
    const [address = ""] = await resolver.resolve4(new URL(door.ingressUrl).hostname);
    return new Load(door, address, perSecond);
  }

  async #lane(url: string, pause: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const begun = performance.now();
      const answer = await this.#send(url);
      if (answer !== "201") this.failures.set(answer, (this.failures.get(answer) ?? 0) + 1);
      this.sent += 1;
      await sleep(Math.max(0, pause - (performance.now() - begun)));
    }
  }

  async #send(url: string): Promise<string> {
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(order),
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(30_000),
      });
      await answer.arrayBuffer();
      return String(answer.status);
    } catch (error) {
      return error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    }
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
    await this.#agent.close();
  }
}

/** @returns how each member takes a password of the application's account */
export async function logins(ca: string, password: string): Promise<readonly ("accepted" | "refused")[]> {
  const members = (await tellers()).filter(({ group }) => group === "database_root");
  return Promise.all(
    members.map(async ({ pod, url }) => {
      const host = `${pod}.tokenshield-database-members.${namespace}.svc.cluster.local`;
      const at = { host, address: new URL(url).hostname, port: 3306, user: "tokenshield", password, ca };
      try {
        (await Session.open({ ...at, program: "tokenshield-test", timeout: 10_000 })).close();
        return "accepted";
      } catch (error) {
        if (error instanceof MySqlRefusal && error.errno === accessDenied) return "refused";
        throw error;
      }
    }),
  );
}
