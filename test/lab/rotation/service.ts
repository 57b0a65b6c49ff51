import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeAuthority } from "../../../services/tokenizer/test/lab/certificates.ts";
import { Leaks } from "../../../services/tokenizer/test/lab/leaks.ts";
import { ServiceProcess } from "../../../services/tokenizer/test/lab/service-process.ts";
import { liveHeap } from "./live-heap.ts";

/** Where the service runs. */
export interface ServicePlace {
  /** For the files that the rotator reads. */
  readonly folder: string;
  readonly mysqlPort: number;
  /** File with the authority of the group's certificates. */
  readonly mysqlCa: string;
  readonly vaultAddress: string;
  readonly kvMount: string;
  readonly transitMount: string;
  /** File with the service's token for Vault. */
  readonly tokenFile: string;
}

/** The tokenizer as a process, and a client that lets it make tokens all the time. */
export class Tokenizer {
  readonly #service: ServiceProcess;
  readonly #written: readonly (() => string)[];
  #stop = new AbortController();
  #load: Promise<void> = Promise.resolve();
  /** The mounted files by name. */
  #files: Readonly<Record<string, string>> = { "admin-password": "Bootstrap-Secret-1" };
  /** What the client shows: the newest that was published, before the service has it. */
  #apiKey = "";
  /** Requests that were answered with anything but success. */
  readonly failed: string[] = [];
  requests = 0;

  private constructor(service: ServiceProcess, written: readonly (() => string)[]) {
    this.#service = service;
    this.#written = written;
  }

  static async prepare(place: ServicePlace): Promise<Tokenizer> {
    const authority = makeAuthority();
    const watched: (() => string)[] = [];
    const service = await ServiceProcess.prepare(
      {
        mysql: { authority, port: place.mysqlPort },
        vault: { address: place.vaultAddress },
        tokenFile: place.tokenFile,
        leaks: new Leaks(),
        watch: (_place, written) => watched.push(written),
      },
      {
        DB_CA_FILE: place.mysqlCa,
        PLATFORM_CLIENTS: "cli:read+write",
        RATE_LIMIT_PER_ADDRESS: "1000000",
        API_CLIENT_CERTIFICATE: "required",
        // The client of the test is an operator here.
        API_OFFICERS: "rotator:keys.rotate+secrets.refresh,haproxy:keys.rotate",
        VAULT_KV_MOUNT: place.kvMount,
        VAULT_TRANSIT_MOUNT: place.transitMount,
        // Its inspector listens where it is asked to, see `liveHeap`.
        NODE_OPTIONS: "--inspect-port=127.0.0.1:0",
      },
    );
    const tokenizer = new Tokenizer(service, watched);
    const { certificate, key } = authority.issue("rotator");
    writeFileSync(join(place.folder, "consumer-ca.pem"), authority.certificate);
    writeFileSync(join(place.folder, "client.pem"), certificate);
    writeFileSync(join(place.folder, "client.key"), key, { mode: 0o600 });
    return tokenizer;
  }

  /** Base of the management API. */
  get apiUrl(): string {
    return `https://127.0.0.1:${this.#service.ports.api}`;
  }

  /** Asks the management API about keys. */
  async callAsOfficer(method: "GET" | "POST", path: string, body?: object): Promise<{ status: number; text: string }> {
    return this.#service.call(method, path, body);
  }

  get metricsUrl(): string {
    return `https://127.0.0.1:${this.#service.ports.api}/metrics`;
  }

  /** Everything that the process has written, its metrics too. */
  get output(): string {
    return this.#written.map((written) => written()).join("\n");
  }

  /** Mounts files beside those that are mounted. */
  mount(files: Readonly<Record<string, string>>): void {
    this.#files = { ...this.#files, ...files };
    this.#service.mount(this.#files);
  }

  /** Gives the client another key, before or after the service has it. */
  useApiKey(key: string): void {
    this.#apiKey = key;
  }

  /** @returns the status of a request with a key */
  async statusWith(key: string): Promise<number> {
    return (await this.#service.call("GET", "/api/v1/tokens", undefined, { "x-api-key": key })).status;
  }

  async start(): Promise<void> {
    const started = await this.#service.start();
    if (started !== "ready") throw new Error(`the tokenizer does not start: ${started.output}`);
    this.#load = this.#use();
  }

  /** Stops the client; it can start again. */
  async pause(): Promise<void> {
    this.#stop.abort();
    await this.#load;
  }

  resume(): void {
    this.#stop = new AbortController();
    this.#load = this.#use();
  }

  async stop(): Promise<void> {
    await this.pause();
    await this.#service.remove();
  }

  /** Resident memory of the process, in MiB. */
  memory(): number {
    const status = readFileSync(`/proc/${this.#service.pid ?? 0}/status`, "utf8");
    return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
  }

  /** What it keeps, in MiB: its heap once garbage was collected, which stops it for some hundredths of a second. */
  async liveHeap(): Promise<number> {
    process.kill(this.#service.pid ?? 0, "SIGUSR1");
    const end = Date.now() + 10_000;
    for (;;) {
      const inspector = /^Debugger listening on (ws:\S+)$/m.exec(this.#service.output)?.[1];
      if (inspector !== undefined) return (await liveHeap(inspector)) / 2 ** 20;
      if (Date.now() > end) throw new Error("the tokenizer's inspector doesn't listen");
      await sleep(50);
    }
  }

  async #use(): Promise<void> {
    const body = { items: [{ card_number: "4111111111111111" }] };
    while (!this.#stop.signal.aborted) {
      this.requests += 1;
      try {
        const { status, text } = await this.#service.call("POST", "/api/v1/tokenize", body, {
          "x-api-key": this.#apiKey,
        });
        if (status !== 200) this.failed.push(`${status} ${text.slice(0, 200)}`);
      } catch (error) {
        this.failed.push(String(error));
      }
      await sleep(20, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
