import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { randomBytes, randomInt } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type AccountName,
  accountNamed,
  catalogue,
  type Login,
  PasswordRotation,
  type Session,
  text,
  withSession,
} from "@tokenshield/mysql";
import { readCertificate } from "../../../src/certificate.ts";
import { ApiServer } from "./apiserver.ts";
import { makeCertificates, renewCertificate } from "./certificates.ts";
import { Mysqld } from "./mysqld.ts";

const service = dirname(dirname(dirname(import.meta.dirname)));
const project = dirname(dirname(service));
const accounts = catalogue("tokenshield");

/** @returns the root file system of the lab's MySQL image, or why there can be none */
export function mysqlRoot(): { readonly root: string } | { readonly missing: string } {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return { missing: "needs Linux and root" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(project, "lab/src/main.ts"), "root", "mysql"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the lab's MySQL image can't be had: ${stderr}`);
  return { root: stdout.trim() };
}

/** Below the range that the kernel takes ports of outgoing connections from (32768 to 60999). */
const portRange = { first: 20_000, count: 12_000 };
const givenPorts = new Set<number>();

/** A port that nobody listens on, and that nobody else was given here. */
async function freePort(): Promise<number> {
  const port = portRange.first + randomInt(portRange.count);
  if (givenPorts.has(port) || !(await isFree(port))) return freePort();
  givenPorts.add(port);
  return port;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => {
      resolve(false);
    });
    server.listen(port, "127.0.0.1", () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

export interface GroupMember {
  readonly name: string;
  readonly server: Mysqld;
  readonly groupPort: number;
  readonly healthPort: number;
  readonly leave: string;
  agent: ChildProcess | undefined;
}

/** Servers, three unless said otherwise, with their agents as processes, on loopback, and the API server that the agents talk to. */
export class TestGroup {
  readonly folder: string;
  readonly api: ApiServer;
  readonly members: readonly GroupMember[];
  readonly #apiPort: number;
  readonly #cloneBeyond: number;

  private constructor(
    api: ApiServer,
    apiPort: number,
    folder: string,
    members: readonly GroupMember[],
    cloneBeyond: number,
  ) {
    this.api = api;
    this.#apiPort = apiPort;
    this.folder = folder;
    this.members = members;
    this.#cloneBeyond = cloneBeyond;
  }

  static async make(
    root: string,
    cloneBeyond: number,
    names: readonly string[] = ["mysql-0", "mysql-1", "mysql-2"],
  ): Promise<TestGroup> {
    const folder = mkdtempSync(join(tmpdir(), "tokenshield-mysql-"));
    const tls = join(folder, "tls");
    const secrets = join(folder, "secrets");
    mkdirSync(tls);
    mkdirSync(secrets, { mode: 0o700 });
    makeCertificates(tls);
    for (const { file } of accounts)
      writeFileSync(join(secrets, file), randomBytes(18).toString("base64url"), { mode: 0o600 });
    writeFileSync(join(secrets, "token"), "token-of-the-test");
    const pem = (name: string): string => readFileSync(join(tls, name), "utf8");
    const api = new ApiServer({ key: pem("tls.key"), cert: pem("tls.crt") }, names);
    const rootPassword = readFileSync(join(secrets, "db-root-password"), "utf8");
    const members: GroupMember[] = [];
    for (const name of names) {
      const own = join(folder, name);
      const leave = join(folder, `${name}-leave`);
      mkdirSync(own);
      mkdirSync(leave);
      const port = await freePort();
      const server = new Mysqld({ root, folder: own, port, tls, rootPassword });
      members.push({
        name,
        server,
        groupPort: await freePort(),
        healthPort: await freePort(),
        leave,
        agent: undefined,
      });
    }
    return new TestGroup(api, await api.listen(), folder, members, cloneBeyond);
  }

  member(name: string): GroupMember {
    const found = this.members.find((member) => member.name === name);
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  }

  startAgent(member: GroupMember): void {
    const log = openSync(join(this.folder, `${member.name}.log`), "a");
    const child = spawn(process.execPath, [join(service, "src/main.ts")], {
      stdio: ["ignore", log, log],
      env: {
        MYSQL_GROUP: "mysql",
        MYSQL_GROUP_NAME: "7d9f1c9e-5a1b-4c58-9d0f-0a4f8f2f3b11",
        MYSQL_MEMBER: member.name,
        ...this.#memberSettings(),
        // As in a cluster, where members that may be added have no address yet.
        MYSQL_ALLOWED_HOSTS: "127.0.0.1,not-there.invalid",
        MYSQL_CLONE_BEYOND: `${this.#cloneBeyond}`,
        SECRETS_MOUNT_PATH: join(this.folder, "secrets"),
        MYSQL_TLS_CERT: join(this.folder, member.name, "tls/tls.crt"),
        TENANT_ID: "acme",
        AGENT_HOST: "127.0.0.1",
        AGENT_PORT: `${member.healthPort}`,
        AGENT_LEAVE_FOLDER: member.leave,
        KUBERNETES_SERVICE_HOST: "127.0.0.1",
        KUBERNETES_SERVICE_PORT: `${this.#apiPort}`,
        KUBERNETES_NAMESPACE: "test",
        KUBERNETES_TOKEN_FILE: join(this.folder, "secrets/token"),
        KUBERNETES_CA_FILE: join(this.folder, "tls/ca.crt"),
      },
    });
    member.agent = child;
    child.once("exit", () => {
      if (member.agent === child) member.agent = undefined;
    });
  }

  /** Ends a member's agent and waits for its end. @returns its exit status */
  async endAgent(member: GroupMember, signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const { agent } = member;
    if (agent === undefined) return null;
    const ended = new Promise<number | null>((resolve) => {
      agent.once("exit", resolve);
    });
    agent.kill(signal);
    return ended;
  }

  /** Servers and agents don't outlive a test run that was broken off. */
  readonly #killAll = (): void => {
    for (const { agent, server } of this.members) {
      agent?.kill("SIGKILL");
      server.signal("SIGKILL");
    }
  };

  start(): void {
    process.once("exit", this.#killAll);
    for (const member of this.members) {
      member.server.start();
      this.startAgent(member);
    }
  }

  async end(): Promise<void> {
    process.off("exit", this.#killAll);
    for (const member of this.members) await this.endAgent(member, "SIGKILL");
    await Promise.all(this.members.map(({ server }) => server.end()));
    this.api.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  login(member: GroupMember, account: AccountName, password = this.password(account)): Login {
    const { user } = accountNamed(accounts, account);
    const ca = readFileSync(join(this.folder, "tls/ca.crt"), "utf8");
    return { host: "127.0.0.1", port: member.server.port, user, password, ca, program: "test", timeout: 4_000 };
  }

  password(account: AccountName): string {
    return readFileSync(this.#file(account), "utf8");
  }

  /** Publishes a new password as the secrets volume would: the new one, and the one before it. */
  publish(account: AccountName, password: string): void {
    const file = this.#file(account);
    writeFileSync(`${file}-previous`, readFileSync(file), { mode: 0o600 });
    writeFileSync(file, password, { mode: 0o600 });
  }

  closeGrace(account: AccountName): void {
    rmSync(`${this.#file(account)}-previous`, { force: true });
  }

  #file(account: AccountName): string {
    return join(this.folder, "secrets", accountNamed(accounts, account).file);
  }

  rotation(): PasswordRotation {
    return new PasswordRotation({
      members: this.members.map(({ name, server }) => ({ name, host: "127.0.0.1", port: server.port })),
      admin: { user: accountNamed(accounts, "rotation").user, passwords: () => [this.password("rotation")] },
      ca: readFileSync(join(this.folder, "tls/ca.crt"), "utf8"),
      limit: 20_000,
    });
  }

  /** Runs one step of a rotation as its own process. @returns its exit status, or the signal that ended it */
  rotate(words: readonly string[], killAfter?: number): Promise<number | string> {
    const admin = ["--admin", this.#file("rotation"), "--admin-previous", `${this.#file("rotation")}-previous`];
    const log = openSync(join(this.folder, "rotate.log"), "a");
    const child = spawn(process.execPath, [join(service, "src/main.ts"), "rotate", ...words, ...admin], {
      stdio: ["ignore", log, log],
      env: { ...this.#memberSettings(), ROTATION_LIMIT: "20000" },
    });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
    return new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        resolve(code ?? signal ?? "");
      });
    });
  }

  /** Writes a new password where only a rotation reads it. @returns the file */
  stage(account: string, password: string): string {
    const file = join(this.folder, `${account}-staged`);
    writeFileSync(file, password, { mode: 0o600 });
    return file;
  }

  staged(account: string): string {
    return readFileSync(join(this.folder, `${account}-staged`), "utf8");
  }

  /** Everything that servers, agents and rotations have written to their logs. */
  allLogs(): string {
    const logs = this.members.flatMap(({ name }) => [`${name}.log`, `${name}/error.log`, `${name}/output.log`]);
    return [...logs, "rotate.log"].map((name) => readFileSync(join(this.folder, name), "utf8")).join("\n");
  }

  rotationLog(): string {
    return readFileSync(join(this.folder, "rotate.log"), "utf8");
  }

  #memberSettings(): Readonly<Record<string, string>> {
    const members = this.members.map(({ name, server, groupPort }) => `${name}=127.0.0.1:${server.port}:${groupPort}`);
    return { MYSQL_MEMBERS: members.join(), MYSQL_TLS_CA: join(this.folder, "tls/ca.crt") };
  }

  /**
   * Renews the servers' certificate, as an agent beside each would.
   *
   * @param order the members, each a few rounds of the agents after the one before
   * @returns its end, as MySQL prints it
   */
  async renewCertificates(order: readonly GroupMember[]): Promise<string> {
    const tls = join(this.folder, "tls");
    renewCertificate(tls);
    for (const { name } of order) {
      cpSync(tls, join(this.folder, name, "tls"), { recursive: true });
      await new Promise((resolve) => setTimeout(resolve, 3_000));
    }
    return readCertificate(join(tls, "tls.crt")).until;
  }

  /** The log of a member's agent. */
  agentLog({ name }: GroupMember): string {
    return readFileSync(join(this.folder, `${name}.log`), "utf8");
  }

  /** Logs in as root, now. */
  ask<Result>(member: GroupMember, work: (session: Session) => Promise<Result>): Promise<Result> {
    return withSession(this.login(member, "root"), work);
  }

  /** @returns `name:state:role` of all members, as this one sees them; its refusal where it gives no answer */
  async view(member: GroupMember): Promise<readonly string[]> {
    try {
      const rows = await this.ask(member, (session) =>
        session.run("SELECT * FROM performance_schema.replication_group_members ORDER BY MEMBER_PORT"),
      );
      return rows.map((row) => {
        const port = Number(text(row, "MEMBER_PORT"));
        const name = this.members.find(({ server }) => server.port === port)?.name ?? "?";
        return `${name}:${text(row, "MEMBER_STATE")}:${text(row, "MEMBER_ROLE")}`;
      });
    } catch (error) {
      return [error instanceof Error ? error.message : "unknown"];
    }
  }

  async health(member: GroupMember, probe: "startup" | "live" | "ready" | "agent"): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${member.healthPort}/health/${probe}`);
    await answer.text();
    return answer.status;
  }

  /** Waits until all members see the same group of `size` online members and one pod carries the primary's label. */
  async whole(size = this.members.length, patience = 150_000): Promise<GroupMember> {
    const end = Date.now() + patience;
    const views: string[] = [];
    for (;;) {
      views.length = 0;
      for (const member of this.members) views.push((await this.view(member)).join(" "));
      const good = views.filter(
        (view) => view.split(":ONLINE:").length - 1 === size && view.split(" ").length === size,
      );
      const [primary, ...more] = this.api.withRole("primary");
      if (good.length === size && new Set(good).size === 1 && primary !== undefined && more.length === 0) {
        const [view = ""] = good;
        if (view.includes(`${primary}:ONLINE:PRIMARY`)) return this.member(primary);
      }
      if (Date.now() > end) throw new Error(`no whole group of ${size}:\n${views.join("\n")}\n${this.logs()}`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  logs(): string {
    return this.members
      .map(({ name, server }) => {
        const agent = readFileSync(join(this.folder, `${name}.log`), "utf8")
          .split("\n")
          .slice(-15)
          .join("\n");
        return `--- ${name}\n${agent}\n${server.log(12)}`;
      })
      .join("\n");
  }
}
