import {
  accessDenied,
  type Account,
  accountNamed,
  catalogue,
  ensureAccounts,
  type Login,
  MySqlRefusal,
  said,
  Session,
  text,
  type Value,
} from "@tokenshield/mysql";
import type { CertificateFile } from "../certificate.ts";
import { AgentError } from "../errors.ts";
import type { Member, Seen, ServerView } from "../members.ts";
import type { Server } from "../ports.ts";
import { lastBackup } from "./backups.ts";
import { type Figures, figures, look } from "./observe.ts";

/** Passwords of the group's accounts, read anew each time. */
export interface Passwords {
  /** @returns undefined where there is none */
  current(account: Account): string | undefined;
  previous(account: Account): string | undefined;
}

export interface MySqlServerOptions {
  readonly self: Member;
  readonly members: readonly Member[];
  /** Hosts that may join: the members', and those of members that the group may be grown by while this server runs. */
  readonly allowed: readonly string[];
  /** Where the agent itself reaches its server: inside the pod. The certificate names the member all the same. */
  readonly address: string;
  /** `group_replication_group_name`, a UUID that never changes. */
  readonly groupName: string;
  readonly schema: string;
  /** Authorities of the servers' certificates, PEM. */
  readonly ca: () => string;
  readonly passwords: Passwords;
  /** The certificate that lies ready for the server; undefined where nobody renews it. */
  readonly certificate: () => CertificateFile | undefined;
  /** How servers check each other: `VERIFY_IDENTITY`, or `VERIFY_CA` where certificates carry no host names. */
  readonly tlsMode: "VERIFY_IDENTITY" | "VERIFY_CA";
  /** Milliseconds that one look may take. */
  readonly patience: number;
}

/** Name of the agent's sessions in `performance_schema.session_connect_attrs`. */
const program = "tokenshield-mysql-agent";

/** Time limits of errands in milliseconds: START waits up to a minute for a view by itself, STOP half a minute. */
const limits = { start: 180_000, stop: 120_000, clone: 24 * 3_600_000, handOver: 60_000, tend: 20_000 };

/** How often the histories of backups are read, in milliseconds. */
const backupsEvery = 60_000;

/** The server restarted itself, or ended because nothing restarts it from inside (ER_CLIENT_..., 3707): a clone is done. */
const restarting: ReadonlySet<number> = new Set([0, 3707]);

/** A server of the group, through its own loopback. Sessions are opened when needed and named, so that leftovers are found. */
export class MySqlServer implements Server {
  readonly #options: MySqlServerOptions;
  readonly #accounts: readonly Account[];
  /** Sessions of this process that are open now. */
  readonly #own = new Set<number>();
  #observer: Session | undefined;
  /** Root's password with which the last login worked. */
  #rootPassword: string | undefined;
  /** A session that was replaced: the server may still show it for a moment. */
  #replaced: number | undefined;
  #figures: Figures | undefined;
  #lastBackup: number | undefined;
  #backupsAt = Number.NEGATIVE_INFINITY;

  constructor(options: MySqlServerOptions) {
    this.#options = options;
    this.#accounts = catalogue(options.schema);
  }

  /** Figures of the last look; undefined while the server is in no group. */
  get figures(): Figures | undefined {
    return this.#figures;
  }

  /** End of the last backup, in seconds since 1970, 0 where none is recorded; undefined while that can't be read. */
  get lastBackup(): number | undefined {
    return this.#lastBackup;
  }

  async observe(): Promise<ServerView> {
    this.#figures = undefined;
    try {
      const session = await this.#observing();
      const left = await this.#leftovers(session);
      if (left > 0) return { kind: "unsettled", why: `${left} sessions of a former agent are being ended` };
      const view = await look(session, this.#options.certificate());
      if (view.state !== "offline") this.#figures = await figures(session);
      // A member that is being cloned has no dictionary to ask.
      if (view.state === "online") await this.#readBackups(session);
      return view;
    } catch (error) {
      this.#forget();
      // A server that refuses is one that answers.
      const answers = error instanceof MySqlRefusal && error.errno > 0;
      return { kind: answers ? "unsettled" : "down", why: said(error) };
    }
  }

  /** Whether the last login as root was with its present password; other accounts' passwords are read at each use. */
  usesPresentPassword({ name }: Account): boolean {
    const root = accountNamed(this.#accounts, "root");
    return name !== root.name || this.#options.passwords.current(root) === this.#rootPassword;
  }

  async bootstrap(): Promise<void> {
    await this.#doing(async (session) => {
      await this.#configure(session);
      await session.run("SET GLOBAL group_replication_bootstrap_group = ON");
      try {
        await this.#start(session);
      } finally {
        await session.run("SET GLOBAL group_replication_bootstrap_group = OFF");
      }
      // Members that join log in as an account that exists from here on.
      await this.#ensure(session);
    }, limits.start);
  }

  async join(): Promise<void> {
    await this.#doing(async (session) => {
      await this.#configure(session);
      await this.#start(session);
    }, limits.start);
  }

  async clone(donor: Member): Promise<void> {
    const { user, password } = this.#replication();
    await this.#doing(async (session) => {
      await session.run("SET GLOBAL offline_mode = OFF");
      await session.run("SET GLOBAL clone_valid_donor_list = ?", [`${donor.host}:${donor.port}`]);
      await session.run("SET GLOBAL clone_ssl_ca = @@GLOBAL.ssl_ca");
      // A clone first drops the schemas that are there. Ordinary accounts still can't write: read_only stays on.
      await session.run("SET GLOBAL super_read_only = OFF");
      try {
        await session.run("CLONE INSTANCE FROM ?@?:? IDENTIFIED BY ? REQUIRE SSL", [
          user,
          donor.host,
          donor.port,
          password,
        ]);
      } catch (error) {
        if (error instanceof MySqlRefusal && restarting.has(error.errno)) return;
        await session.run("SET GLOBAL super_read_only = ON");
        throw error;
      }
    }, limits.clone);
  }

  async stop(): Promise<void> {
    await this.#doing(async (session) => {
      await session.run("STOP GROUP_REPLICATION");
    }, limits.stop);
  }

  async handOver(to: Seen): Promise<void> {
    await this.#doing(async (session) => {
      // Transactions that still run after this many seconds are ended.
      await session.run("SELECT group_replication_set_as_primary(?, ?)", [to.uuid, 3]);
    }, limits.handOver);
  }

  async tend(): Promise<void> {
    await this.#doing((session) => this.#ensure(session), limits.tend);
  }

  async takeUpCertificate(): Promise<boolean> {
    const file = this.#options.certificate();
    if (file === undefined) return false;
    const session = await this.#observing();
    const { until } = await session.one(
      `SELECT COALESCE(MAX(value), '') AS until FROM performance_schema.tls_channel_status
        WHERE channel = 'mysql_main' AND property = 'Ssl_server_not_after'`,
    );
    // A session that was opened before goes on with the former one.
    if (until === file.until) return false;
    await session.run("ALTER INSTANCE RELOAD TLS");
    return true;
  }

  /** Closes what is open. */
  close(): void {
    this.#forget();
  }

  #ensure(session: Session): Promise<void> {
    const { passwords, schema } = this.#options;
    return ensureAccounts(session, schema, (account) => passwords.current(account));
  }

  async #observing(): Promise<Session> {
    if (this.#replaced !== undefined) this.#own.delete(this.#replaced);
    this.#replaced = undefined;
    const root = accountNamed(this.#accounts, "root");
    if (this.#observer?.isOpen === true) {
      // After a rotation the agent comes over at once: the password before it ends with the grace.
      if (this.usesPresentPassword(root)) return this.#observer;
      this.#replaced = this.#observer.id;
    }
    this.#forget();
    if (this.#replaced !== undefined) this.#own.add(this.#replaced);
    this.#observer = await this.#login(this.#options.patience);
    return this.#observer;
  }

  async #readBackups(session: Session): Promise<void> {
    if (performance.now() - this.#backupsAt < backupsEvery) return;
    this.#backupsAt = performance.now();
    try {
      this.#lastBackup = await lastBackup(session);
    } catch (error) {
      // A history of another form is no fault of the server's; that nobody can read it shows in the metrics.
      if (!(error instanceof MySqlRefusal && error.errno > 0)) throw error;
      this.#lastBackup = undefined;
    }
  }

  #forget(): void {
    if (this.#observer === undefined) return;
    this.#own.delete(this.#observer.id);
    this.#observer.close();
    this.#observer = undefined;
  }

  /** Logs in with the present password, or with the one before it where the server has not got the change yet. */
  async #login(timeout: number): Promise<Session> {
    const { address, self, ca, passwords } = this.#options;
    const account = accountNamed(this.#accounts, "root");
    const login = (password: string): Login => ({
      host: self.host,
      address,
      port: self.port,
      user: account.user,
      password,
      ca: ca(),
      program,
      timeout,
    });
    const current = passwords.current(account);
    if (current === undefined)
      throw new AgentError("SETTINGS", `${account.file}: expected root's password, and there is none`);
    let session: Session;
    try {
      session = await Session.open(login(current));
      this.#rootPassword = current;
    } catch (error) {
      const previous = passwords.previous(account);
      if (previous === undefined || !(error instanceof MySqlRefusal && error.errno === accessDenied)) throw error;
      session = await Session.open(login(previous));
      this.#rootPassword = previous;
    }
    this.#own.add(session.id);
    return session;
  }

  async #doing(work: (session: Session) => Promise<void>, timeout: number): Promise<void> {
    const session = await this.#login(timeout);
    try {
      await work(session);
    } finally {
      this.#own.delete(session.id);
      session.close();
    }
  }

  /**
   * Ends sessions of an agent that no longer runs, or of an errand that was given up: what they still do to the server
   * must be over before anything is decided from its state.
   *
   * @returns how many there are
   */
  async #leftovers(session: Session): Promise<number> {
    const rows = await session.run(
      `SELECT a.processlist_id AS id FROM performance_schema.session_connect_attrs a
        WHERE a.attr_name = 'program_name' AND a.attr_value = ?`,
      [program],
    );
    const left = rows.map((row) => Number(text(row, "id"))).filter((id) => !this.#own.has(id));
    for (const id of left) {
      try {
        await session.run("KILL CONNECTION ?", [id]);
      } catch (error) {
        // It ended by itself meanwhile (ER_NO_SUCH_THREAD); it is looked for again in the next round.
        if (!(error instanceof MySqlRefusal && error.errno === 1094)) throw error;
      }
    }
    return left.length;
  }

  /** The group's settings belong to the agent: the server's own file needs to know nothing about the other members. */
  async #configure(session: Session): Promise<void> {
    const { allowed, self, members, groupName, tlsMode } = this.#options;
    const address = ({ host, groupPort }: Member): string => `${host}:${groupPort}`;
    const settings: Readonly<Record<string, Value>> = {
      group_replication_bootstrap_group: "OFF",
      group_replication_start_on_boot: "OFF",
      group_replication_single_primary_mode: "ON",
      group_replication_group_name: groupName,
      group_replication_local_address: address(self),
      group_replication_group_seeds: members.map(address).join(","),
      group_replication_ip_allowlist: [...new Set(allowed)].join(","),
      group_replication_ssl_mode: tlsMode,
      group_replication_recovery_use_ssl: "ON",
      group_replication_recovery_ssl_verify_server_cert: "ON",
      group_replication_recovery_reconnect_interval: 3,
      group_replication_recovery_retry_count: 20,
      // Of equals the first is elected: the last is no good primary when pods are updated, see `decide.ts`.
      group_replication_member_weight: 90 - 10 * members.indexOf(self),
      group_replication_member_expel_timeout: 0,
      group_replication_unreachable_majority_timeout: 6,
      group_replication_autorejoin_tries: 0,
      group_replication_exit_state_action: "OFFLINE_MODE",
      group_replication_consistency: "BEFORE_ON_PRIMARY_FAILOVER",
      offline_mode: "OFF",
    };
    for (const [name, value] of Object.entries(settings)) await session.run(`SET GLOBAL ${name} = ?`, [value]);
    await session.run("SET GLOBAL group_replication_recovery_ssl_ca = @@GLOBAL.ssl_ca");
  }

  /** The recovery account's password is given with the statement, so that no table on disk holds it. */
  async #start(session: Session): Promise<void> {
    const { user, password } = this.#replication();
    await session.run("START GROUP_REPLICATION USER = ?, PASSWORD = ?", [user, password]);
  }

  #replication(): { readonly user: string; readonly password: string } {
    const account = accountNamed(this.#accounts, "replication");
    const password = this.#options.passwords.current(account);
    if (password === undefined)
      throw new AgentError("SETTINGS", `${account.file}: expected a password, and there is none`);
    return { user: account.user, password };
  }
}
