import {
  type Account,
  GroupError,
  MySqlRefusal,
  PasswordRotation,
  type PasswordState,
  type Place,
  RotationRefused,
} from "@tokenshield/mysql";
import type { RotationLedger } from "@tokenshield/rotation";
import { type Begin, type ClassWork, comesBack, RotatorError, type StepCode } from "../core/index.ts";
import { type Consumers, stragglers } from "../consumers/index.ts";
import type { Group, VaultValues } from "../vault/index.ts";

/** One account, and the group that holds its password. */
export interface AccountGroup extends Group {
  readonly account: Account;
}

export interface DatabaseOptions {
  /** In the order in which they change. */
  readonly groups: readonly AccountGroup[];
  /** The account that changes the others. */
  readonly admin: AccountGroup;
  readonly values: VaultValues;
  readonly consumers: Consumers;
  /** Tells those whom it reaches that there is something new to read. */
  readonly nudge: (groups: readonly string[]) => Promise<void>;
  readonly members: readonly Place[];
  /** Authorities of the servers' certificates, PEM. */
  readonly ca: string;
  /** How long to wait for all members, in milliseconds. */
  readonly limit: number;
}

/**
 * The class of the database's accounts: all have one generation. Each keeps two passwords until the grace is over
 * (MySQL manual, "Dual Password Support"). The account that changes the others comes last.
 */
export class DatabaseAccounts implements ClassWork {
  readonly #groups: readonly AccountGroup[];
  readonly #values: VaultValues;
  readonly #rotation: PasswordRotation;
  readonly #consumers: Consumers;
  readonly #nudge: DatabaseOptions["nudge"];
  /** Passwords that the account that changes the others may have, the likeliest first. */
  #admin: readonly string[] = [];

  constructor({ groups, values, consumers, nudge, admin, members, ca, limit }: DatabaseOptions) {
    this.#groups = groups.filter(({ account }) => account.user !== admin.account.user).concat(admin);
    this.#values = values;
    this.#consumers = consumers;
    this.#nudge = nudge;
    const passwords = (): readonly string[] => this.#admin;
    this.#rotation = new PasswordRotation({ members, admin: { user: admin.account.user, passwords }, ca, limit });
  }

  staged(ledger: RotationLedger, begin: Begin): Promise<Readonly<Record<string, string>>> {
    return this.#values.staged(this.#groups, ledger, begin);
  }

  async retain(ledger: RotationLedger): Promise<void> {
    const { generation, previous } = ledger;
    await this.#each(async (group) => {
      const password = await this.#password(group, ledger.digests);
      if (comesBack(ledger) && previous !== null)
        await this.#rotation.exchange(group.account, previous.generation, generation, password);
      else await this.#rotation.retain(group.account, generation, password);
    });
  }

  async verify(ledger: RotationLedger): Promise<void> {
    await this.#each(async (group) => {
      const { account } = group;
      const { generation } = await this.#rotation.state(account);
      if (generation !== ledger.generation) {
        throw new RotationRefused(
          "STALE",
          `${account.name}: generation ${generation} is in force, not ${ledger.generation}`,
        );
      }
      await this.#accepted(account, await this.#password(group, ledger.digests));
      const { previous } = ledger;
      // Of a rollback the other value may never have been published, and be gone.
      if (previous !== null && !comesBack(ledger)) {
        await this.#accepted(account, await this.#password(group, previous.digests));
      }
    });
  }

  async publish(ledger: RotationLedger): Promise<void> {
    for (const group of this.#groups) await this.#values.publish(group, ledger);
    await this.#nudge(this.#groups.map(({ name }) => name));
  }

  async stragglers(ledger: RotationLedger): Promise<readonly string[]> {
    return stragglers(ledger, await this.#consumers.ask());
  }

  async discard(ledger: RotationLedger): Promise<void> {
    await this.#each((group) => this.#rotation.discard(group.account, ledger.generation));
  }

  async close(ledger: RotationLedger): Promise<void> {
    const { generation, previous } = ledger;
    await this.#each(async (group) => {
      const { account } = group;
      const unsettled = await this.#rotation.unsettled(account, generation);
      if (unsettled.length > 0) {
        throw new RotatorError(
          "STILL_ACCEPTED",
          `${account.name}: ${unsettled.join(", ")} still hold the value before`,
        );
      }
      const before = previous?.digests[group.name];
      if (before !== undefined && before !== ledger.digests[group.name]) await this.#refused(group, before);
    });
    for (const group of this.#groups) await this.#values.closeGrace(group);
  }

  async undo({ generation, previous }: RotationLedger): Promise<void> {
    if (previous === null) return;
    await this.#each(async (group) => {
      const password = await this.#password(group, previous.digests);
      await this.#rotation.restore(group.account, generation, previous.generation, password);
    });
  }

  async #refused(group: AccountGroup, digest: string): Promise<void> {
    const { account } = group;
    const copies = await this.#values.copies(group);
    let password: string;
    try {
      password = (await this.#values.find(group, digest))["password"] ?? "";
    } catch (error) {
      // A close that was run before has forgotten it already, and saw it refused before that.
      if (error instanceof RotatorError && error.code === "VALUE_LOST" && copies.length > 0) return;
      throw error;
    }
    const accepting = await this.#rotation.accepting(account, password);
    if (accepting.length === 0) return;
    throw new RotatorError("STILL_ACCEPTED", `${account.name}: ${accepting.join(", ")} still accept the value before`);
  }

  async #accepted(account: Account, password: string): Promise<void> {
    const results = await this.#rotation.verify(account, password);
    const refusing = [...results].filter(([, result]) => result === "refused").map(([member]) => member);
    if (refusing.length === 0) return;
    throw new RotatorError(
      "OTHER_VALUE",
      `${account.name}: ${refusing.join(", ")} refuse a value that has to be valid`,
    );
  }

  async #password(group: AccountGroup, digests: Readonly<Record<string, string>>): Promise<string> {
    return (await this.#values.find(group, digests[group.name]))["password"] ?? "";
  }

  /** What the database knows of each account. @throws RotatorError */
  async states(): Promise<ReadonlyMap<string, PasswordState>> {
    const states = new Map<string, PasswordState>();
    await this.#each(async ({ name, account }) => {
      states.set(name, await this.#rotation.state(account));
    });
    return states;
  }

  async #each(work: (group: AccountGroup) => Promise<void>): Promise<void> {
    const admin = this.#groups.at(-1);
    const copies = admin === undefined ? [] : await this.#values.copies(admin);
    this.#admin = copies.map((values) => values["password"] ?? "");
    for (const group of this.#groups) {
      try {
        await work(group);
      } catch (error) {
        throw translated(error);
      }
    }
  }
}

const refusals: Readonly<Record<RotationRefused["code"], StepCode>> = {
  GRACE_OPEN: "STALE",
  STALE: "STALE",
  OTHER_VALUE: "OTHER_VALUE",
  UNUSABLE: "OTHER_VALUE",
};

/** What MySQL's part threw, as the machine knows it. */
function translated(error: unknown): unknown {
  if (error instanceof RotationRefused) return new RotatorError(refusals[error.code], error.message, { cause: error });
  if (error instanceof GroupError && !(error instanceof MySqlRefusal) && error.code === "TIME_LIMIT") {
    return new RotatorError("TIME_LIMIT", error.message, { cause: error });
  }
  if (error instanceof GroupError) return new RotatorError("DATABASE", error.message, { cause: error });
  return error;
}
