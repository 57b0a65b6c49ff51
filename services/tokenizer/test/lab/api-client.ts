import assert from "node:assert/strict";
import { Agent, request } from "undici";
import { type Accounts, makeAccounts, sessionKeyFile } from "../../src/accounts/index.ts";
import { type Api, makeApi, operationIds } from "../../src/api/index.ts";
import { CardStore } from "../../src/cards/index.ts";
import { KeyStore } from "../../src/keys/index.ts";
import { accountSettings } from "../../src/service/index.ts";
import { readSettings } from "../../src/settings/index.ts";
import { AuditLog, type MySqlDatabase } from "../../src/storage/index.ts";
import { currentRequest, makeLog, Metrics } from "../../src/telemetry/index.ts";
import { differences, documented } from "../document.ts";
import type { Leaks } from "./leaks.ts";
import { type Platform, tenant } from "./platform.ts";

let replicas = 0;

/** Password of the built-in admin in tests. As the platform generates it: letters and digits only. */
export const adminPassword = "BootstrapSecret1BootstrapSecret2Bootstr3";
export const adminSecret = "emergency-secret-of-the-lab-0123456789";

/** An answer of the API, checked against the document. */
export interface Got<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly body: Body;
}

interface Sent {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: unknown;
  /** Sent as it is, in the place of `body`. */
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly session?: string | undefined;
}

/** The management API of one replica, over TLS, with real stores behind it. */
export class ApiUnderTest {
  readonly api: Api;
  readonly log: string[];
  /** Answers that were errors. */
  readonly errors: string[];
  readonly leaks: Leaks;
  readonly secrets: Map<string, readonly string[]>;
  readonly clock: { offset: number };
  readonly database: MySqlDatabase;
  /** `operation status` of everything that was called. */
  readonly seen = new Set<string>();
  /** Answers that differ from the document. */
  readonly faults: string[] = [];
  readonly keys: KeyStore;
  readonly audit: AuditLog;
  readonly accounts: Accounts;
  readonly #agent: Agent;
  readonly #port: number;
  readonly #stop: () => Promise<void>;

  private constructor(
    parts: Pick<
      ApiUnderTest,
      "api" | "log" | "errors" | "leaks" | "secrets" | "clock" | "database" | "keys" | "audit" | "accounts"
    >,
    ca: string,
    port: number,
    stop: () => Promise<void>,
  ) {
    this.api = parts.api;
    this.log = parts.log;
    this.errors = parts.errors;
    this.leaks = parts.leaks;
    this.secrets = parts.secrets;
    this.clock = parts.clock;
    this.database = parts.database;
    this.keys = parts.keys;
    this.audit = parts.audit;
    this.accounts = parts.accounts;
    this.#agent = new Agent({ connect: { ca } });
    this.#port = port;
    this.#stop = stop;
  }

  static async start(
    platform: Platform,
    environment: NodeJS.ProcessEnv = {},
    rotationPatience?: number,
  ): Promise<ApiUnderTest> {
    const settings = readSettings({
      TENANT_ID: tenant,
      APP_ENDPOINT: "http://localhost:1",
      VAULT_ADDR: platform.vault.address,
      VAULT_TOKEN_FILE: platform.tokenFile,
      TRUSTED_PROXIES: "127.0.0.1",
      CORS_ALLOWED_ORIGINS: "https://dashboard.example.com",
      LOG_LEVEL: "debug",
      ...environment,
    });
    const clock = { offset: 0 };
    const now = (): Date => new Date(Date.now() + clock.offset);
    const log: string[] = [];
    const logger = makeLog(settings.LOG_LEVEL, { write: (line: string) => log.push(line) });
    const database = await platform.openDatabase(10);
    const service = platform.service(1500);
    const metrics = new Metrics({ http: [], icap: [], api: operationIds });
    const audit = new AuditLog(database, now, () => currentRequest()?.requestId ?? "");
    const keys = new KeyStore({ database, service, audit, meters: metrics, log: logger, tenant, interval: 200 });
    await keys.start();
    const cards = new CardStore({
      database,
      keys: keys.dataKeys,
      audit,
      meters: metrics,
      log: logger,
      tenant,
      format: settings.TOKEN_FORMAT,
      reuse: "never",
    });
    const errors: string[] = [];
    const told: string[] = [];
    const nth = (replicas += 1);
    platform.watch(`log of API ${nth}`, () => log.join(""));
    platform.watch(`errors of API ${nth}`, () => errors.join("\n"));
    platform.watch(`metrics of API ${nth}`, () => told.join("\n"));
    const secrets = new Map<string, readonly string[]>([
      [sessionKeyFile, ["session-key-of-the-lab-1"]],
      ["admin-secret", [adminSecret]],
    ]);
    const authority = platform.mysql.authority;
    const server = authority.issue("localhost");
    const generations = (file: string): readonly string[] => secrets.get(file) ?? [];
    const accounts = makeAccounts({ database, audit, secrets: generations, now, ...accountSettings(settings) });
    const api = makeApi({
      settings,
      database,
      audit,
      cards,
      keys,
      accounts,
      secrets: generations,
      metrics,
      log: logger,
      now,
      othersListening: () => true,
      refreshSecrets: () => Promise.resolve([{ group: "jwt", generation: 2, from: "ahead" }]),
      rotationPatience,
      tls: { cert: server.certificate, key: server.key },
    });
    await accounts.users.ensureBuiltIn(adminPassword);
    platform.leaks.add("password of the built-in admin", adminPassword);
    platform.leaks.add("admin secret", adminSecret);
    platform.leaks.add("session key", "session-key-of-the-lab-1");
    const port = await api.server.listen("127.0.0.1", 0);
    const stop = async (): Promise<void> => {
      told.push(await metrics.registry.metrics());
      await api.server.close(0);
      await keys.stop();
      await service.close();
      await database.close();
    };
    return new ApiUnderTest(
      { api, log, errors, leaks: platform.leaks, secrets, clock, database, keys, audit, accounts },
      authority.certificate,
      port,
      stop,
    );
  }

  async stop(): Promise<void> {
    await this.#agent.close();
    await this.#stop();
  }

  /** Calls an operation of the document and notes what differs from it. */
  async call<Body = Record<string, unknown>>(id: string, sent: Sent = {}): Promise<Got<Body>> {
    const operation = documented.find((one) => one.id === id);
    assert.ok(operation !== undefined, id);
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(sent.params?.[name] ?? ""),
    );
    const got = await this.send<Body>(operation.method, `${path}${sent.query ?? ""}`, sent);
    this.seen.add(`${id} ${got.status}`);
    const contentType = got.headers["content-type"];
    const found = differences(id, { status: got.status, contentType: String(contentType), body: got.text });
    this.faults.push(...found.map((fault) => `${id} ${got.status}: ${fault}`));
    return got;
  }

  /** Calls any path. */
  async send<Body = Record<string, unknown>>(method: string, path: string, sent: Sent = {}): Promise<Got<Body>> {
    const body = sent.raw ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
    const answer = await request(`https://localhost:${this.#port}${path}`, {
      dispatcher: this.#agent,
      method: method as "GET",
      ...(body === undefined ? {} : { body }),
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(sent.session === undefined ? {} : { authorization: `Bearer ${sent.session}` }),
        ...sent.headers,
      },
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 400) this.errors.push(JSON.stringify(answer.headers), text);
    const isJson = String(answer.headers["content-type"]).startsWith("application/json");
    return { status: answer.statusCode, headers: answer.headers, text, body: (isJson ? JSON.parse(text) : {}) as Body };
  }

  /** Logs in and gives the session id. */
  async login(username: string, password: string): Promise<string> {
    const got = await this.call<{ session_id: string }>("login", { body: { username, password } });
    assert.equal(got.status, 200, got.text);
    this.leaks.add(`session of ${username}`, got.body.session_id);
    this.leaks.add(`password of ${username}`, password);
    return got.body.session_id;
  }

  /** The built-in admin's session, its first password changed. */
  async admin(): Promise<string> {
    const password = "Changed-Secret-2";
    const again = await this.send("POST", "/api/v1/auth/login", { body: { username: "admin", password } });
    if (again.status === 200) return (again.body as { session_id: string }).session_id;
    const session = await this.login("admin", adminPassword);
    const changed = await this.call("changePassword", {
      session,
      body: { current_password: adminPassword, new_password: password },
    });
    assert.equal(changed.status, 200, changed.text);
    return session;
  }

  /** Makes a user and logs in. */
  async user(admin: string, username: string, more: object = {}): Promise<string> {
    const password = "Some-Password-1";
    const made = await this.call("createUser", {
      session: admin,
      body: { username, email: `${username}@example.com`, password, ...more },
    });
    assert.equal(made.status, 201, made.text);
    return this.login(username, password);
  }
}
