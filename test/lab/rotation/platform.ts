import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type AccountName, accountNamed } from "@tokenshield/mysql";
import {
  firstLedger,
  type Generation,
  groupPath,
  ledgerPath,
  ledgerText,
  parseLedger,
  type RotationLedger,
  stagedPath,
  valueDigest,
} from "@tokenshield/rotation";
import { policyRules, policyText } from "../../../bin/components/vault/policy.js";
import { TestGroup } from "../../../services/mysql-agent/test/lab/support/group.ts";
import { startVault, type VaultServer } from "../../../services/tokenizer/test/lab/servers.ts";
import { Client } from "./client.ts";
import { planOf } from "./plan.ts";
import { type KillAt, type Run, runRotator } from "./run.ts";
import { Tokenizer } from "./service.ts";
import {
  accountDocument,
  accountOf,
  accounts,
  type ClassName,
  type Data,
  generated,
  groups,
  type Limits,
  shared,
  type SharedClass,
  sharedDocument,
  type SharedGroup,
  sharedNames,
  usualLimits,
} from "./values.ts";

const project = dirname(dirname(dirname(import.meta.dirname)));
const environment = "test";
const tenant = "acme";
const mount = `tokenshield-${environment}`;

const transitMount = `tokenshield-${environment}-transit`;
const transitKey = "tokenshield-acme";

/**
 * A MySQL group, Vault with a tenant's values and ledger as the program leaves them, clients that use the application's
 * account, and the rotator as its own process with the rights that the program gives it.
 */
export class RotationPlatform {
  readonly group: TestGroup;
  readonly vault: VaultServer;
  readonly clients: readonly Client[];
  readonly tokenizer: Tokenizer;
  /** Everything that runs of the rotator have printed. */
  output = "";
  /** Every value that was ever generated. */
  readonly generatedValues: string[] = [];
  readonly #folder: string;
  readonly #names: readonly string[];
  readonly #volume = new AbortController();
  #following: Promise<void> = Promise.resolve();
  readonly #delivered = new Map<string, string>();
  /** Stops the values' way to the consumers, as a driver that is down would. */
  volumeStuck = false;
  /** The same for the keys that processes show to each other. */
  sharedVolumeStuck = false;
  graceSeconds = 2;
  /** Whether the tokenizer is told that there is something new. */
  nudged = false;
  /** Milliseconds, where a machine may be busy. */
  limits: Limits = usualLimits;

  private constructor(
    group: TestGroup,
    vault: VaultServer,
    folder: string,
    clients: readonly Client[],
    tokenizer: Tokenizer,
    names: readonly string[],
  ) {
    this.#names = names;
    this.tokenizer = tokenizer;
    this.group = group;
    this.vault = vault;
    this.#folder = folder;
    this.clients = clients;
  }

  /**
   * @param members how many servers the group has: an odd number
   * @param names the groups of the class
   */
  static async start(
    mysqlRoot: string,
    vaultProgram: string,
    members: number,
    names: readonly string[] = Object.keys(groups),
  ): Promise<RotationPlatform> {
    // The bundle is what a pod runs, and starts in half the time.
    execFileSync("npm", ["run", "--silent", "build", "--workspace", "services/rotator"], {
      cwd: project,
      stdio: "pipe",
    });
    const memberNames = Array.from({ length: members }, (_, at) => `mysql-${at}`);
    const [group, vault] = await Promise.all([
      TestGroup.make(mysqlRoot, 100_000, memberNames),
      startVault(vaultProgram),
    ]);
    const folder = mkdtempSync(join(tmpdir(), "tokenshield-rotation-"));
    const clients = [new Client("pod-0", 20), new Client("pod-1", 300)];
    const tokenizer = await Tokenizer.prepare({
      folder,
      mysqlPort: group.members[0]?.server.port ?? 0,
      mysqlCa: join(group.folder, "tls/ca.crt"),
      vaultAddress: vault.address,
      kvMount: mount,
      transitMount,
      tokenFile: join(folder, "tokenizer-token"),
    });
    const platform = new RotationPlatform(group, vault, folder, clients, tokenizer, names);
    try {
      group.start();
      await platform.#prepareVault();
      await group.whole();
      platform.#following = platform.#follow();
      const place = group.members[0]?.server.port ?? 0;
      const ca = readFileSync(join(group.folder, "tls/ca.crt"), "utf8");
      for (const client of clients) {
        await client.start({ port: place, ca, files: join(folder, "files"), tenant, group: "database_credentials" });
      }
      await tokenizer.start();
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  async stop(): Promise<void> {
    await this.tokenizer.stop();
    for (const client of this.clients) await client.stop();
    this.#volume.abort();
    await this.#following;
    await this.group.end();
    await this.vault.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Asks Vault as root. */
  async ask(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body?: unknown,
  ): Promise<{ status: number; data: Data }> {
    const answer = await fetch(`${this.vault.address}/v1/${path}`, {
      method,
      headers: { "x-vault-token": this.vault.rootToken },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, data: (text === "" ? {} : JSON.parse(text)) as Data };
  }

  async #prepareVault(): Promise<void> {
    await this.ask("POST", `sys/mounts/${mount}`, { type: "kv", options: { version: "2" } });
    const digests: Record<string, string> = {};
    for (const name of this.#names) {
      const account = accountOf(name);
      const password = this.group.password(account);
      this.generatedValues.push(password);
      digests[name] = valueDigest(tenant, name, { password });
      await this.#put(groupPath(tenant, name), accountDocument(name, 1, password));
    }
    await this.#put(ledgerPath(tenant, "database"), JSON.parse(ledgerText(firstLedger(digests, new Date()))) as Data);
    for (const [className, group] of Object.entries(shared)) {
      const value = generated();
      this.generatedValues.push(value);
      await this.#put(groupPath(tenant, group.group), sharedDocument(group, 1, value));
      const digest = valueDigest(tenant, group.group, { [group.field]: value });
      const ledger = firstLedger({ [group.group]: digest }, new Date());
      await this.#put(ledgerPath(tenant, className), JSON.parse(ledgerText(ledger)) as Data);
    }
    const bump = { gateways: [], commonName: "none", minutes: 1 };
    const args = {
      environment,
      tenant,
      groupsOf: () => [],
      groups: [...this.#names, ...sharedNames],
      classes: ["database", "encryption", ...Object.keys(shared)],
      bump,
    };
    await this.ask("PUT", "sys/policies/acl/rotator", { policy: policyText(policyRules("rotator", args)) });
    await this.useToken(["rotator"]);
    await this.#prepareTransit();
  }

  async #prepareTransit(): Promise<void> {
    await this.ask("POST", `sys/mounts/${transitMount}`, { type: "transit" });
    await this.ask("POST", `${transitMount}/keys/${transitKey}`, { exportable: false });
    const args = {
      environment,
      tenant,
      groupsOf: () => ["database_credentials", ...sharedNames],
      groups: [],
      classes: [],
      bump: { gateways: [], commonName: "none", minutes: 1 },
    };
    await this.ask("PUT", "sys/policies/acl/tokenizer", { policy: policyText(policyRules("tokenizer", args)) });
    await this.useToken(["tokenizer"], "tokenizer-token");
  }

  /** Gives the rotator, or another reader of a file, another token with these policies. */
  async useToken(policies: readonly string[], file = "token"): Promise<void> {
    const { data } = await this.ask("POST", "auth/token/create", { policies, no_default_policy: true, ttl: "12h" });
    const { client_token: token } = data["auth"] as { client_token: string };
    writeFileSync(join(this.#folder, file), token, { mode: 0o600 });
  }

  /** A policy that refuses every write of published values; ledgers can be written. */
  async refusePublications(): Promise<void> {
    const rules = this.#names.flatMap((name) => [groupPath(tenant, name), stagedPath(tenant, name)]);
    const read = rules.map((path) => `path "${mount}/data/${path}" { capabilities = ["read"] }`);
    const ledger = `path "${mount}/data/${ledgerPath(tenant, "database")}" { capabilities = ["create","read","update"] }`;
    await this.ask("PUT", "sys/policies/acl/no-publications", { policy: [...read, ledger].join("\n") });
    await this.useToken(["no-publications"]);
  }

  async #put(path: string, data: Data): Promise<void> {
    const { status } = await this.ask("POST", `${mount}/data/${path}`, { data });
    if (status !== 200) throw new Error(`Vault took ${path} with status ${status}`);
  }

  async published(name: string): Promise<Readonly<Record<string, string>>> {
    const { data } = await this.ask("GET", `${mount}/data/${groupPath(tenant, name)}`);
    return (data["data"] as { data: Record<string, string> }).data;
  }

  async ledger(className: ClassName = "database"): Promise<RotationLedger> {
    const { data } = await this.ask("GET", `${mount}/data/${ledgerPath(tenant, className)}`);
    return parseLedger(JSON.stringify((data["data"] as { data: unknown }).data), "the test's ledger");
  }

  /** The key-encryption key's versions, as Vault tells of them. */
  async transitKey(): Promise<Data> {
    const { data } = await this.ask("GET", `${transitMount}/keys/${transitKey}`);
    return data["data"] as Data;
  }

  /** How many versions Vault has of the ledger and all values. */
  async versions(): Promise<number> {
    let sum = 0;
    for (const path of [ledgerPath(tenant, "database"), ...this.#names.map((name) => groupPath(tenant, name))]) {
      const { data } = await this.ask("GET", `${mount}/metadata/${path}`);
      sum += (data["data"] as { current_version: number }).current_version;
    }
    return sum;
  }

  /** Loses the ledger with all its versions. */
  async loseLedger(): Promise<void> {
    await this.ask("DELETE", `${mount}/metadata/${ledgerPath(tenant, "database")}`);
  }

  /** What an update does before it starts the rotator: stages the next generation of every group. */
  async stage(): Promise<Generation> {
    const generation = ((await this.ledger()).generation + 1) as Generation;
    for (const name of this.#names) {
      const password = generated();
      this.generatedValues.push(password);
      await this.#put(stagedPath(tenant, name), accountDocument(name, generation, password));
    }
    this.plan({ generation });
    return generation;
  }

  /** Stages the next generation of a class of shared values. */
  async stageShared(className: SharedClass): Promise<Generation> {
    const group = shared[className];
    const generation = ((await this.ledger(className)).generation + 1) as Generation;
    const value = generated();
    this.generatedValues.push(value);
    await this.#put(stagedPath(tenant, group.group), sharedDocument(group, generation, value));
    this.plan({ generation }, className);
    return generation;
  }

  /** Writes the plan that the program gives to the rotator, with what begins. */
  plan({ generation }: { readonly generation: number }, beginning: ClassName = "database"): void {
    const plan = planOf({
      tenant,
      mount,
      transit: { mount: transitMount, key: transitKey },
      names: this.#names,
      graceSeconds: this.graceSeconds,
      limits: this.limits,
      begin: { className: beginning, generation },
      clients: this.clients,
      tokenizer: this.tokenizer,
      nudge: this.nudged ? `${this.tokenizer.apiUrl}/admin/secrets/refresh` : undefined,
      members: this.group.members,
    });
    writeFileSync(join(this.#folder, "plan.json"), JSON.stringify(plan));
  }

  /** Runs the rotator as its own process. */
  async rotator(words: readonly string[], kill?: KillAt): Promise<Run> {
    const environment = {
      ROTATOR_PLAN: join(this.#folder, "plan.json"),
      VAULT_ADDR: this.vault.address,
      VAULT_TOKEN_FILE: join(this.#folder, "token"),
      MYSQL_TLS_CA: join(this.group.folder, "tls/ca.crt"),
      CONSUMER_CA_FILE: join(this.#folder, "consumer-ca.pem"),
      CLIENT_CERTIFICATE_FILE: join(this.#folder, "client.pem"),
      CLIENT_KEY_FILE: join(this.#folder, "client.key"),
      ROTATOR_IDENTITY: "test",
    };
    const run = await runRotator(environment, words, kill);
    this.output += run.stdout + run.stderr;
    return run;
  }

  /** Sweeps until the class is closed, or abandoned, as the CronJob does. */
  async sweepUntilClosed(className: ClassName = "database"): Promise<RotationLedger> {
    for (let round = 0; round < 20; round += 1) {
      const { status, stdout, stderr } = await this.rotator(["sweep", className]);
      const ledger = await this.ledger(className);
      if (ledger.phase === "closed" || ledger.phase === "abandoned") return ledger;
      if (status !== 0) throw new Error(`a sweep ended with ${status}:\n${stdout}${stderr}`);
      const { previous } = ledger;
      const rest =
        previous?.until === undefined || previous.until === null ? 0 : Date.parse(previous.until) - Date.now();
      await sleep(Math.max(100, rest));
    }
    throw new Error("20 sweeps have not closed the class");
  }

  /** What the secrets volume does: writes every published value, and the one before, as files that its readers follow. */
  async #follow(): Promise<void> {
    const { signal } = this.#volume;
    const folder = join(this.#folder, "files");
    mkdirSync(folder);
    while (!signal.aborted) {
      if (!this.sharedVolumeStuck) for (const group of Object.values(shared)) await this.#deliverShared(group);
      if (!this.volumeStuck) {
        for (const name of this.#names) await this.#deliver(name, accountOf(name), folder);
      }
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The client has a new key long before the service, which is the worst order. */
  async #deliverShared({ field, file, group, stem }: SharedGroup): Promise<void> {
    const values = await this.published(group).catch(() => undefined);
    const now = JSON.stringify(values);
    if (values === undefined || this.#delivered.get(group) === now) return;
    this.#delivered.set(group, now);
    const { [field]: value = "", [`${field}_previous`]: previous = "", generation = "" } = values;
    if (group === shared.api.group) this.tokenizer.useApiKey(value);
    await sleep(300);
    this.tokenizer.mount({ [file]: value, [`${file}-previous`]: previous, [`${stem}-generation`]: generation });
  }

  async #deliver(name: string, account: AccountName, folder: string): Promise<void> {
    let values: Readonly<Record<string, string>>;
    try {
      values = await this.published(name);
    } catch {
      // Vault is away: the last values stay.
      return;
    }
    // One file a group, so that a reader never sees the number of one generation and the value of another.
    const before = this.#delivered.get(name);
    const now = JSON.stringify(values);
    if (before === now) return;
    this.#delivered.set(name, now);
    write(join(folder, name), now);
    if (account === "app") {
      const { username = "", password = "", password_previous: previous = "", generation = "" } = values;
      const files = { "db-username": username, "db-password": password, "db-password-previous": previous };
      this.tokenizer.mount({ ...files, "db-generation": generation });
    }
    const { file } = accountNamed(accounts, account);
    write(join(this.group.folder, "secrets", `${file}-previous`), values["password_previous"] ?? "");
    write(join(this.group.folder, "secrets", file), values["password"] ?? "");
    write(join(this.group.folder, "secrets", file.replace(/password$/, "generation")), values["generation"] ?? "");
  }
}

function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
