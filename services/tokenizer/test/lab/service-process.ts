import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { type Answer, Client } from "../icap-client.ts";
import type { Authority } from "./certificates.ts";
import type { Leaks } from "./leaks.ts";
import { login, type Platform, tenant } from "./platform.ts";
import { freePort } from "./servers.ts";

/** What a process ended with. */
export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** The service as a process of its own, with mounted files as in a pod. */
export class ServiceProcess {
  readonly folder: string;
  readonly ports: { readonly http: number; readonly icap: number; readonly api: number };
  readonly #authority: Authority;
  readonly #agent: Agent;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #leaks: Leaks;
  #child: ChildProcess | undefined;
  #output = "";
  #generation = 0;
  /** Answers that were errors. */
  readonly errors: string[] = [];
  /** Answers of /metrics. */
  readonly metrics: string[] = [];

  private constructor(
    folder: string,
    authority: Authority,
    ports: ServiceProcess["ports"],
    environment: NodeJS.ProcessEnv,
    leaks: Leaks,
  ) {
    this.#leaks = leaks;
    this.folder = folder;
    this.ports = ports;
    this.#authority = authority;
    const client = authority.issue("haproxy");
    this.#agent = new Agent({ connect: { ca: authority.certificate, cert: client.certificate, key: client.key } });
    this.#environment = environment;
  }

  /** Writes the mounted files; nothing runs yet. */
  static async prepare(platform: Platform, more: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> {
    const folder = mkdtempSync(join(tmpdir(), "tokenshield-service-"));
    const authority = platform.mysql.authority;
    const own = authority.issue("localhost");
    mkdirSync(join(folder, "tls"));
    writeFileSync(join(folder, "tls/tls.crt"), own.certificate);
    writeFileSync(join(folder, "tls/tls.key"), own.key, { mode: 0o600 });
    writeFileSync(join(folder, "tls/ca.crt"), authority.certificate);
    const [http, icap, api] = [await freePort(), await freePort(), await freePort()];
    const environment = {
      PATH: process.env["PATH"],
      TENANT_ID: tenant,
      LISTEN_HOST: "127.0.0.1",
      HTTP_PORT: String(http),
      ICAP_PORT: String(icap),
      API_PORT: String(api),
      APP_ENDPOINT: "http://127.0.0.1:1",
      TLS_CERT_FILE: join(folder, "tls/tls.crt"),
      TLS_KEY_FILE: join(folder, "tls/tls.key"),
      TLS_CA_FILE: join(folder, "tls/ca.crt"),
      DB_HOST: "localhost",
      DB_PORT: String(platform.mysql.port),
      VAULT_ADDR: platform.vault.address,
      VAULT_TOKEN_FILE: platform.tokenFile,
      SECRETS_MOUNT_PATH: join(folder, "secrets"),
      SECRETS_WATCH_POLL_INTERVAL: "500ms",
      SECRETS_WATCH_DEBOUNCE_MS: "100ms",
      STOP_TIMEOUT: "10s",
      ...more,
    };
    const made = new ServiceProcess(folder, authority, { http, icap, api }, environment, platform.leaks);
    platform.watch(`output of the service on ${api}`, () => made.output);
    platform.watch(`errors of the service on ${api}`, () => made.errors.join("\n"));
    platform.watch(`metrics of the service on ${api}`, () => made.metrics.join("\n"));
    made.mount({
      "db-username": login.user,
      "db-password": login.password,
      "jwt-secret": "signing-key-of-the-process-1",
      "admin-password": "Bootstrap-Secret-1",
      "admin-secret": "emergency-secret-of-the-process",
    });
    return made;
  }

  /** Swaps the mounted files as the volume driver does: a new folder, then the link `..data`. */
  mount(files: Readonly<Record<string, string>>): void {
    const base = join(this.folder, "secrets");
    mkdirSync(base, { recursive: true });
    const generation = `..generation-${(this.#generation += 1)}`;
    mkdirSync(join(base, generation));
    for (const [name, value] of Object.entries(files)) {
      if (name !== "db-username") this.#leaks.add(`mounted secret ${name}`, value);
      writeFileSync(join(base, generation, name), value, { mode: 0o600 });
      if (!readdirSync(base).includes(name)) symlinkSync(join("..data", name), join(base, name));
    }
    symlinkSync(generation, join(base, "..new"));
    renameSync(join(base, "..new"), join(base, "..data"));
  }

  /** Starts the process and waits until it is ready, or has ended. */
  async start(): Promise<"ready" | Ended> {
    const main = join(import.meta.dirname, "../../src/main.ts");
    const child = spawn(process.execPath, [main], { env: this.#environment, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    const end = performance.now() + 30_000;
    while (performance.now() < end) {
      if (child.exitCode !== null) return { status: child.exitCode, output: this.#output };
      if (this.#output.includes('"msg":"ready"')) return "ready";
      await sleep(50);
    }
    child.kill("SIGKILL");
    throw new Error(`not ready after 30 s:\n${this.#output}`);
  }

  /** Everything that the process has written. */
  get output(): string {
    return this.#output;
  }

  async end(signal: NodeJS.Signals): Promise<Ended> {
    const child = this.#child;
    if (child === undefined) throw new Error("nothing runs");
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill(signal);
      await ended;
    }
    return { status: child.exitCode, output: this.#output };
  }

  /** Ends the process if it runs, and removes its files. What its metrics told at the end is kept. */
  async remove(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      await this.call("GET", "/metrics").catch(() => undefined);
      await this.end("SIGKILL");
    }
    await this.#agent.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Calls the management API, or another port, over TLS as the client `haproxy`. */
  async call(
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
    port = this.ports.api,
  ): Promise<{ status: number; text: string }> {
    const answer = await request(`https://localhost:${port}${path}`, {
      dispatcher: this.#agent,
      method: method as "GET",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 400) this.errors.push(JSON.stringify(answer.headers), text);
    if (path === "/metrics") this.metrics.push(text);
    return { status: answer.statusCode, text };
  }

  /** Asks the ICAP port over TLS as the client `haproxy`. */
  async icap(message: Buffer): Promise<Answer> {
    const { certificate: ca } = this.#authority;
    const { certificate: cert, key } = this.#authority.issue("haproxy");
    const client = new Client(
      connect({ host: "127.0.0.1", servername: "localhost", port: this.ports.icap, ca, cert, key }),
    );
    try {
      return await client.ask(message);
    } finally {
      client.end();
    }
  }

  /** A certificate of the authority that the service trusts. */
  get authority(): Authority {
    return this.#authority;
  }

  /** Writes a new certificate of the listeners. Gives its serial number's place in the file: the PEM text. */
  renewCertificate(): string {
    const own = this.#authority.issue("localhost");
    writeFileSync(join(this.folder, "tls/tls.key"), own.key);
    writeFileSync(join(this.folder, "tls/tls.crt"), own.certificate);
    return own.certificate;
  }
}
