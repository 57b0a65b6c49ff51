import { setTimeout as sleep } from "node:timers/promises";
import { GroupError, said } from "./errors.ts";
import { GtidSet } from "./gtid.ts";
import type { Account } from "./accounts.ts";
import { accessDenied, type Login, MySqlRefusal, Session, text, withSession } from "./session.ts";
import { RotationRefused } from "./refused.ts";

/** Where a server of the group listens. */
export interface Place {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface RotationOptions {
  /** All configured members. */
  readonly members: readonly Place[];
  /** The account that may change others' passwords, with its present password, and the one before it while there is one. */
  readonly admin: { readonly user: string; readonly passwords: () => readonly string[] };
  readonly ca: string;
  /** How long to wait for all members, in milliseconds. */
  readonly limit: number;
}

/** What the server knows of an account's passwords; the passwords themselves it doesn't tell. */
export interface PasswordState {
  /** Generation of the present password; 0 where none was ever noted. */
  readonly generation: number;
  /** Whether the password before it is still accepted. */
  readonly previousAccepted: boolean;
}

/** How one login went. */
export type LoginResult = "accepted" | "refused";

const program = "tokenshield-mysql-rotation";
const sessionTimeout = 5_000;
/** Bytes of a password that a channel of replication takes: with a longer one no member joins (ER_GROUP_REPLICATION_PASSWORD_LENGTH). */
const longestOfReplication = 32;

/**
 * Changes of one group's passwords without a moment in which a client that is a little late, or a little early, is
 * refused: `retain`, then `verify`, tell the clients, and after the grace `discard` and `refuses`. Each can be run
 * again after a crash at any point. MySQL keeps one old password beside the present one, and a second change with
 * RETAIN would end the first old one at once: so a second rotation within a grace is refused (MySQL manual, "Dual
 * Password Support"). Generation and password change in one statement, as the account's attribute tells.
 */
export class PasswordRotation {
  readonly #options: RotationOptions;
  /** The member that led when it was last asked. */
  #leader: Place | undefined;

  constructor(options: RotationOptions) {
    this.#options = options;
  }

  /** @throws GroupError if there is no primary or no such account */
  async state(account: Account): Promise<PasswordState> {
    return this.#onPrimary((session) => passwordState(session, account));
  }

  /**
   * Makes `password` the account's present one and keeps the former one beside it, on every configured member.
   *
   * @param generation number of the new password; larger than the present one's
   * @throws RotationRefused if a grace is open, the generation is not new, its password is another one, or one that can't be used
   * @throws GroupError `TIME_LIMIT` if a member is away: run it again, nothing is lost
   */
  async retain(account: Account, generation: number, password: string): Promise<void> {
    const bytes = Buffer.byteLength(password);
    if (account.name === "replication" && bytes > longestOfReplication) {
      throw new RotationRefused(
        "UNUSABLE",
        `${account.name}: generation ${generation}: expected a password of at most ${longestOfReplication} bytes, given ${bytes}: no member could join with it`,
      );
    }
    const { generation: present, previousAccepted } = await this.state(account);
    if (generation < present) {
      throw new RotationRefused(
        "STALE",
        `${account.name}: generation ${generation} is older than ${present}, which is in force`,
      );
    }
    if (generation > present) {
      if (previousAccepted) {
        throw new RotationRefused(
          "GRACE_OPEN",
          `${account.name}: the password before generation ${present} is still accepted; another change would end it at once. Discard it first`,
        );
      }
      await this.#onPrimary((session) => change(session, account, generation, present, password));
    }
    await this.#caughtUp();
    await this.#takes(account, generation, password);
  }

  async #takes(account: Account, generation: number, password: string): Promise<void> {
    for (const [member, result] of await this.verify(account, password)) {
      if (result === "refused")
        throw new RotationRefused(
          "OTHER_VALUE",
          `${account.name}: ${member} refuses the password of generation ${generation}`,
        );
    }
  }

  /**
   * Makes the password before the present one the present one again, as a new generation, and keeps the one that it
   * replaces beside it: nobody is refused, whichever of the two he has.
   *
   * @param from the generation that is present
   * @param generation the number that the returning password gets; larger than `from`
   * @throws RotationRefused if another generation is present or the password isn't one of the two
   * @throws GroupError `TIME_LIMIT` if a member is away: run it again, nothing is lost
   */
  async exchange(account: Account, from: number, generation: number, password: string): Promise<void> {
    const { generation: present, previousAccepted } = await this.state(account);
    if (present === from && previousAccepted) {
      // What is neither of the two would end the older one.
      await this.#takes(account, generation, password);
      await this.#onPrimary((session) => change(session, account, generation, from, password));
    }
    await this.retain(account, generation, password);
  }

  /**
   * Takes a retained password back: the one before is the only one again. Nobody may use the retained one.
   *
   * @param generation of the password that is taken back
   * @param to the generation before it
   * @param password the password of that generation
   * @throws RotationRefused `STALE` if a generation is present that is neither of the two
   */
  async restore(account: Account, generation: number, to: number, password: string): Promise<void> {
    const { generation: present, previousAccepted } = await this.state(account);
    if (present !== generation && present !== to) {
      throw new RotationRefused(
        "STALE",
        `${account.name}: generation ${generation} was to be taken back, and ${present} is in force`,
      );
    }
    if (present === generation) await this.#onPrimary((session) => change(session, account, to, generation, password));
    if (present === generation || previousAccepted) await this.#endPrevious(account);
    await this.#caughtUp();
    await this.#takes(account, to, password);
  }

  /** Logs in on every member that lets the account in from here. @returns how each took it */
  async verify(account: Account, password: string): Promise<ReadonlyMap<string, LoginResult>> {
    const results = new Map<string, LoginResult>();
    for (const member of this.#options.members) {
      // An account of the members' own pods is refused from elsewhere, whatever its password.
      if (account.host !== "%" && account.host !== member.host) continue;
      results.set(member.name, await this.#login(member, account, password));
    }
    return results;
  }

  /** @returns the members whose servers hold a password before the present one, or another generation than `generation` */
  async unsettled(account: Account, generation: number): Promise<readonly string[]> {
    const found: string[] = [];
    for (const member of this.#options.members) {
      const state = await this.#admin(member, (session) => passwordState(session, account));
      if (state.previousAccepted || state.generation !== generation) found.push(member.name);
    }
    return found;
  }

  /**
   * Ends the former password, on every configured member. Whether anybody still uses it is for the caller to know.
   *
   * @throws RotationRefused `STALE` if `generation` is not the present one
   */
  async discard(account: Account, generation: number): Promise<void> {
    const { generation: present, previousAccepted } = await this.state(account);
    if (generation !== present) {
      throw new RotationRefused(
        "STALE",
        `${account.name}: generation ${generation} is to be kept, and ${present} is in force`,
      );
    }
    if (previousAccepted) await this.#endPrevious(account);
    await this.#caughtUp();
  }

  async #endPrevious({ user, host }: Account): Promise<void> {
    const statement = `ALTER USER ?@? DISCARD OLD PASSWORD ATTRIBUTE '{"previous": null}'`;
    await this.#onPrimary((session) => session.run(statement, [user, host]));
  }

  /** @returns the members that still accept a password that was discarded; none is what is wanted */
  async accepting(account: Account, discarded: string): Promise<readonly string[]> {
    const results = await this.verify(account, discarded);
    return [...results].filter(([, result]) => result === "accepted").map(([member]) => member);
  }

  async #login(member: Place, account: Account, password: string): Promise<LoginResult> {
    try {
      await withSession(this.#at(member, account.user, password), (session) => session.run("DO 0"));
      return "accepted";
    } catch (error) {
      if (error instanceof MySqlRefusal && error.errno === accessDenied) return "refused";
      throw error;
    }
  }

  #at({ host, port }: Place, user: string, password: string): Login {
    return { host, port, user, password, ca: this.#options.ca, program, timeout: sessionTimeout };
  }

  /** Logs in as the account that changes the others, with whichever of its passwords is taken. */
  async #open(member: Place): Promise<Session> {
    const { admin } = this.#options;
    let denied: unknown = new GroupError("SETTINGS", `${admin.user}: expected a password, and there is none`);
    for (const password of admin.passwords()) {
      try {
        return await Session.open(this.#at(member, admin.user, password));
      } catch (error) {
        if (!(error instanceof MySqlRefusal && error.errno === accessDenied)) throw error;
        denied = error;
      }
    }
    throw denied;
  }

  async #admin<Result>(member: Place, work: (session: Session) => Promise<Result>): Promise<Result> {
    const session = await this.#open(member);
    try {
      return await work(session);
    } finally {
      session.close();
    }
  }

  /**
   * Runs `work` in a session with the primary. Asks the members until one says that it leads, the last one that did
   * first, bounded by the time limit: a fail-over may be under way.
   */
  async #onPrimary<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const { members, limit } = this.#options;
    const end = performance.now() + limit;
    let last = "no member was asked";
    while (performance.now() < end) {
      for (const member of [...members].sort((a, b) => Number(b === this.#leader) - Number(a === this.#leader))) {
        let session: Session | undefined;
        try {
          session = await this.#open(member);
          const leads = await isPrimary(session);
          if (!leads) {
            last = `${member.name} does not lead`;
            session.close();
            continue;
          }
        } catch (error) {
          session?.close();
          last = `${member.name}: ${said(error)}`;
          continue;
        }
        this.#leader = member;
        try {
          return await work(session);
        } finally {
          session.close();
        }
      }
      await sleep(500);
    }
    throw new GroupError("TIME_LIMIT", `no primary was found in ${limit} ms; the last answer: ${last}`);
  }

  /** Waits until every configured member has applied all that the primary has committed by now. */
  async #caughtUp(): Promise<void> {
    const { members, limit } = this.#options;
    const committed = GtidSet.parse(await this.#onPrimary(executed));
    const end = performance.now() + limit;
    for (const member of members) {
      for (;;) {
        const behind = await this.#behind(member, committed);
        if (behind === undefined) break;
        if (performance.now() > end)
          throw new GroupError("TIME_LIMIT", `${member.name} has not got the change in ${limit} ms: ${behind}`);
        await sleep(200);
      }
    }
  }

  /** @returns why the member doesn't have everything, undefined if it has */
  async #behind(member: Place, committed: GtidSet): Promise<string | undefined> {
    try {
      const has = GtidSet.parse(await this.#admin(member, executed));
      return has.includes(committed) ? undefined : "it is behind";
    } catch (error) {
      return said(error);
    }
  }
}

const executed = async (session: Session): Promise<string> =>
  text(await session.one("SELECT @@gtid_executed AS executed"), "executed").replaceAll("\n", "");

async function isPrimary(session: Session): Promise<boolean> {
  const rows = await session.run(
    `SELECT 1 FROM performance_schema.replication_group_members
      WHERE member_id = @@server_uuid AND member_role = 'PRIMARY' AND member_state = 'ONLINE'`,
  );
  return rows.length === 1;
}

async function passwordState(session: Session, { name, user, host }: Account): Promise<PasswordState> {
  const [row] = await session.run(
    `SELECT COALESCE(User_attributes->>'$.metadata.generation', '0') AS generation,
            JSON_CONTAINS_PATH(COALESCE(User_attributes, '{}'), 'one', '$.additional_password') AS previous
       FROM mysql.user WHERE User = ? AND Host = ?`,
    [user, host],
  );
  if (row === undefined) throw new GroupError("SERVER_STATE", `${name}: the group has no account ${user}@${host}`);
  return { generation: Number(text(row, "generation")), previousAccepted: text(row, "previous") === "1" };
}

async function change(
  session: Session,
  { user, host }: Account,
  generation: number,
  previous: number,
  password: string,
): Promise<void> {
  await session.run("ALTER USER ?@? IDENTIFIED BY ? RETAIN CURRENT PASSWORD ATTRIBUTE ?", [
    user,
    host,
    password,
    JSON.stringify({ generation, previous }),
  ]);
}
