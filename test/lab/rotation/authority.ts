import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ledgerPath, parseLedger, rootParameters, type RotationLedger } from "@tokenshield/rotation";
import { bumpFiles, bumpPath } from "../../../bin/components/certificates/bump.js";
import { beginningOf, planText, type RotatorPlan, rotatorPlan } from "../../../bin/components/rotation/plan-file.js";
import { type ClassPlan, planRotation, type RotationRequest } from "../../../bin/components/secrets/plan.js";
import { authorityArgs } from "../../../bin/components/rotation/authority-rights.js";
import { authorityStem, type BumpArgs, bumpParameters } from "../../../bin/components/vault/bump.js";
import { egressMount } from "../../../bin/components/vault/names.js";
import { policyRules, policyText } from "../../../bin/components/vault/policy.js";
import { VaultClient } from "../../../engine/src/providers/vault/client.ts";
import { getBackendIssuer, getBackendIssuers } from "../../../engine/src/providers/vault/types/pki-functions.ts";
import { type Authority, makeAuthority } from "../../../services/tokenizer/test/lab/certificates.ts";
import { startVault, type VaultServer } from "../../../services/tokenizer/test/lab/servers.ts";
import { type AgentSettings, bumpAgent } from "../support/bump-agent.ts";
import { EgressPod, gateway, makeRequest } from "./egress-pod.ts";
import { type KillAt, type Run, runRotator } from "./run.ts";
import type { Data } from "./values.ts";

const project = dirname(dirname(dirname(import.meta.dirname)));
const [environment, tenant] = ["test", "acme"];
const kv = `tokenshield-${environment}`;
const pki = egressMount(environment, tenant);
const days = 30;
const bump: BumpArgs = { gateways: [gateway], commonName: "TokenShield test acme egress", minutes: 60 };

/** Hours of the class's policy, seconds long. */
const policy = { automatic: false, intervalDays: 20, graceHours: 2 / 3600, trustHours: 4 / 3600 };
const renewSeconds = 30;

/** Vault's answer to somebody's request. */
export interface Answer {
  readonly status: number;
  readonly data: Data;
}

/**
 * Vault with a tenant's egress authority as the program leaves it, two pods that are signed by it, and the rotator as its
 * own process with the rights that the program gives it. `update` does what an update does.
 */
export class AuthorityPlatform {
  readonly vault: VaultServer;
  readonly pods: EgressPod[] = [];
  readonly #folder: string;
  readonly #own: Authority;
  readonly #reader: VaultClient;
  readonly #program: string;
  #agent: ChildProcess | undefined;

  private constructor(program: string, vault: VaultServer, folder: string) {
    this.#program = program;
    this.vault = vault;
    this.#folder = folder;
    this.#own = makeAuthority();
    const { address, rootToken } = vault;
    this.#reader = new VaultClient({ address, verification: "on", headers: {}, retries: 0 }, rootToken, "");
  }

  static async start(program: string): Promise<AuthorityPlatform> {
    const words = ["run", "--silent", "build", "--workspace", "services/rotator"];
    execFileSync("npm", words, { cwd: project, stdio: "pipe" });
    const platform = new AuthorityPlatform(
      program,
      await startVault(program),
      mkdtempSync(join(tmpdir(), "tokenshield-authority-")),
    );
    try {
      await platform.#prepare();
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  async #prepare(): Promise<void> {
    const client = this.#own.issue("rotator");
    writeFileSync(this.#file("consumer-ca.pem"), this.#own.certificate);
    writeFileSync(this.#file("client.pem"), client.certificate);
    writeFileSync(this.#file("client.key"), client.key, { mode: 0o600 });
    await this.asRoot("POST", `sys/mounts/${kv}`, { type: "kv", options: { version: "2" } });
    const config = { default_lease_ttl: "24h", max_lease_ttl: `${days * 24}h` };
    await this.asRoot("POST", `sys/mounts/${pki}`, { type: "pki", config });
    await this.asRoot(
      "POST",
      `${pki}/root/generate/internal`,
      rootParameters(authorityStem({ environment, tenant }), 1, days),
    );
    await this.#allow("outbound");
    await this.update();
    for (let count = 0; count < 2; count += 1) {
      this.pods.push(await EgressPod.start(this.#folder, tenant, this.#own, (request) => this.#signed(request)));
    }
    this.#write(undefined);
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  /** Gives a part the rights that the program gives it, and a token for them in a file. */
  async #allow(part: "outbound" | "rotator", plan?: ClassPlan, ledger?: RotationLedger): Promise<void> {
    const authority = plan === undefined ? {} : authorityArgs(plan, ledger, days);
    const args = { environment, tenant, groupsOf: () => [], groups: [], classes: ["bump"], bump, ...authority };
    await this.asRoot("PUT", `sys/policies/acl/${part}`, { policy: policyText(policyRules(part, args)) });
    const made = await this.ask("POST", "auth/token/create", this.vault.rootToken, {
      policies: [part],
      no_default_policy: true,
      ttl: "1h",
    });
    const { client_token: token } = made.data["auth"] as { client_token: string };
    this.tokens[part] = token;
    writeFileSync(this.#file(`${part}-token`), token, { mode: 0o600 });
  }

  /** Tokens by part. */
  readonly tokens: Record<"outbound" | "rotator", string> = { outbound: "", rotator: "" };

  async #signed(request: string): Promise<string> {
    const asked = { csr: request, ...bumpParameters(bump) };
    const { status, data } = await this.ask("POST", `${pki}/root/sign-intermediate`, this.tokens.outbound, asked);
    if (status !== 200) throw new Error(`Vault signed nothing: ${status}`);
    return (data["data"] as { certificate: string }).certificate;
  }

  /**
   * Starts the certificate agent of one more pod, as the program sets it up, but for how often it looks who signs.
   * @returns who signed what it keeps; undefined before it has anything
   */
  startAgent(): () => string | undefined {
    const folder = this.#file("agent");
    mkdirSync(folder);
    const at = (name: string): string => join(folder, name);
    makeRequest(at(bumpFiles.key), at(bumpFiles.request));
    const settings = bumpAgent(this.vault.address, pki, bump, this.#file("outbound-token"));
    const config = JSON.parse(JSON.stringify(settings).replaceAll(`${bumpPath}/`, `${folder}/`)) as AgentSettings;
    config.template_config["static_secret_render_interval"] = "2s";
    writeFileSync(at("agent.json"), JSON.stringify(config));
    const environment = { HOME: folder, PATH: process.env["PATH"] ?? "" };
    this.#agent = spawn(this.#program, ["agent", `-config=${at("agent.json")}`], { stdio: "ignore", env: environment });
    return () => {
      if (!existsSync(at(bumpFiles.bundle))) return undefined;
      const [pem] = /-----BEGIN CERTIFICATE-[^]+/.exec(readFileSync(at(bumpFiles.bundle), "utf8")) ?? [];
      return pem === undefined ? undefined : new X509Certificate(pem).issuer;
    };
  }

  async ask(method: string, path: string, token: string, body?: object): Promise<Answer> {
    const answer = await fetch(`${this.vault.address}/v1/${path}`, {
      method,
      headers: { "x-vault-token": token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, data: text === "" ? {} : (JSON.parse(text) as Data) };
  }

  async asRoot(method: string, path: string, body?: object): Promise<Data> {
    const { status, data } = await this.ask(method, path, this.vault.rootToken, body);
    if (status >= 400) throw new Error(`Vault answered ${method} ${path} with ${status}`);
    return data;
  }

  /** The ledger; undefined before the first sweep. */
  async ledger(): Promise<RotationLedger | undefined> {
    const { status, data } = await this.ask("GET", `${kv}/data/${ledgerPath(tenant, "bump")}`, this.vault.rootToken);
    return status === 404
      ? undefined
      : parseLedger(JSON.stringify((data["data"] as { data: unknown }).data), "the test's ledger");
  }

  /** How many versions of it there are. */
  async versions(): Promise<number> {
    const data = await this.asRoot("GET", `${kv}/metadata/${ledgerPath(tenant, "bump")}`);
    return (data["data"] as { current_version: number }).current_version;
  }

  /** Loses the ledger with all its versions. */
  async loseLedger(): Promise<void> {
    await this.asRoot("DELETE", `${kv}/metadata/${ledgerPath(tenant, "bump")}`);
  }

  /** What an update does before its Job: plans, gives the rotator its rights and writes what begins. */
  async update(request?: RotationRequest): Promise<ClassPlan> {
    const ledger = await this.ledger();
    const plan = planRotation({ bump: ledger }, { bump: { ...policy, request } }, new Date())["bump"];
    if (plan === undefined) throw new Error("no plan");
    await this.#allow("rotator", plan, ledger);
    this.#write(plan);
    return plan;
  }

  #write(plan: ClassPlan | undefined): void {
    const begin = plan === undefined ? undefined : beginningOf(plan);
    const written: RotatorPlan = {
      ...rotatorPlan(
        {
          ...{ tenant, mount: kv, namespace: "unused", policies: { bump: policy }, groups: [] },
          transit: { mount: "unused", key: "unused" },
          authority: { pki, stem: authorityStem({ environment, tenant }), days, renewSeconds },
          schema: "unused",
          database: { host: "unused", port: 3306 },
        },
        begin === undefined ? {} : { bump: begin },
      ),
      consumers: this.pods.map(({ url }, at) => ({ name: `outbound-${at}`, url, groups: ["bump"] })),
    };
    const limits = { converge: 1_000, pause: 100, look: 100, leaseSeconds: 1, request: 2_000, busy: 20_000 };
    const document = { ...(JSON.parse(planText(written)) as Data), limits };
    writeFileSync(this.#file("plan.json"), JSON.stringify(document));
  }

  /** Runs the rotator as its own process. */
  rotator(words: readonly string[], kill?: KillAt): Promise<Run> {
    const environment = {
      ROTATOR_PLAN: this.#file("plan.json"),
      VAULT_ADDR: this.vault.address,
      VAULT_TOKEN_FILE: this.#file("rotator-token"),
      CONSUMER_CA_FILE: this.#file("consumer-ca.pem"),
      CLIENT_CERTIFICATE_FILE: this.#file("client.pem"),
      CLIENT_KEY_FILE: this.#file("client.key"),
      ROTATOR_IDENTITY: "test",
    };
    return runRotator(environment, words, kill);
  }

  /** Sweeps, as the CronJob does, until the class has come to a phase. */
  async sweepUntil(phase: RotationLedger["phase"]): Promise<void> {
    for (let round = 0; round < 60; round += 1) {
      const { status, stdout, stderr } = await this.rotator(["sweep", "bump"]);
      if (status !== 0) throw new Error(`a sweep ended with ${status}:\n${stdout}${stderr}`);
      if ((await this.ledger())?.phase === phase) return;
      await sleep(300);
    }
    throw new Error(`60 sweeps have not brought the class to ${phase}`);
  }

  /** What an application is given: the certificates of all issuers, by the functions that the program reads them with. */
  async bundle(): Promise<string> {
    const { result } = await getBackendIssuers(this.#reader, { backend: pki });
    const found = await Promise.all(
      (result["keys"] as readonly string[]).map(async (issuerRef) => {
        const issuer = await getBackendIssuer(this.#reader, { backend: pki, issuerRef });
        return issuer.result["certificate"] as string;
      }),
    );
    return found.map((certificate) => `${certificate.trim()}\n`).join("");
  }

  /** The names of issuers and of keys. */
  async inVault(): Promise<{ readonly issuers: readonly string[]; readonly keys: readonly string[] }> {
    const names = async (what: string, field: string): Promise<readonly string[]> => {
      const data = await this.asRoot("LIST", `${pki}/${what}`);
      const { key_info: info } = data["data"] as { key_info: Record<string, Record<string, string>> };
      return Object.values(info)
        .map((one) => one[field] ?? "")
        .sort();
    };
    return { issuers: await names("issuers", "issuer_name"), keys: await names("keys", "key_name") };
  }

  async stop(): Promise<void> {
    this.#agent?.kill();
    for (const pod of this.pods) await pod.stop();
    this.#reader.close();
    await this.vault.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The mount of the authority. */
export const authorityMount = pki;
