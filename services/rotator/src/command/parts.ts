import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { accountNamed, catalogue } from "@tokenshield/mysql";
import { EgressAuthority, PkiIssuers } from "../authority/index.ts";
import { machineClock } from "../clock.ts";
import { Consumers, type Trust } from "../consumers/index.ts";
import { ClassRun, type ClassWork, type Ledgers, type Records, RotatorError } from "../core/index.ts";
import { type AccountGroup, DatabaseAccounts } from "../database/index.ts";
import { EncryptionKeys, KeyApi, TransitKey } from "../keys/index.ts";
import type { Environment, Plan, PlannedClass } from "../settings.ts";
import { SharedKeys } from "../shared/index.ts";
import { type Login, Vault, VaultLedgers, VaultValues } from "../vault/index.ts";

/** What a command works with. */
export interface Parts {
  readonly plan: Plan;
  readonly ledgers: Ledgers;
  readonly values: VaultValues;
  readonly consumers: Consumers;
  readonly vault: Vault;
  /** What the platform's processes are asked with. */
  readonly trust: Trust;
  /** Unique to this run, for leases and the history. */
  readonly holder: string;
  readonly mysqlCa: () => string;
  close(): Promise<void>;
}

/** @throws RotatorError `SETTINGS` where a file is missing */
export function makeParts(environment: Environment, plan: Plan): Parts {
  const { request } = plan.limits;
  const vault = new Vault({
    address: environment.VAULT_ADDR,
    ca: optionalText(environment.VAULT_CA_FILE),
    namespace: environment.VAULT_NAMESPACE,
    login: loginOf(environment),
    timeout: request,
  });
  // A certificate is short-lived, and whoever keeps it puts the next one in its place during a long run.
  const trust: Trust = {
    ca: optionalText(environment.CONSUMER_CA_FILE),
    get certificate() {
      return optionalText(environment.CLIENT_CERTIFICATE_FILE);
    },
    get key() {
      return optionalText(environment.CLIENT_KEY_FILE);
    },
  };
  return {
    plan,
    ledgers: new VaultLedgers(vault, plan.mount, plan.tenant),
    values: new VaultValues(vault, plan.mount, plan.tenant),
    consumers: new Consumers(plan.consumers, trust, request),
    vault,
    trust,
    holder: `${environment.ROTATOR_IDENTITY ?? hostname()}/${randomUUID().slice(0, 8)}`,
    mysqlCa: () => text(environment.MYSQL_TLS_CA),
    close: () => vault.close(),
  };
}

function loginOf(environment: Environment): Login {
  const {
    VAULT_TOKEN_FILE: file,
    VAULT_K8S_ROLE: role,
    VAULT_AUTH_MOUNT: mount,
    VAULT_JWT_FILE: jwtFile,
  } = environment;
  if (file !== undefined) return { kind: "token", file };
  if (role === undefined) throw new RotatorError("SETTINGS", "VAULT_K8S_ROLE: expected a role, given none");
  return { kind: "kubernetes", mount, role, jwtFile };
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new RotatorError("SETTINGS", `${path}: expected a readable file`, { cause: error });
  }
}

const optionalText = (path: string | undefined): string | undefined => (path === undefined ? undefined : text(path));

/** The class of that name. @throws RotatorError `SETTINGS` that names those that there are */
export function classNamed(plan: Plan, className: string): PlannedClass {
  const found = plan.classes[className];
  if (found !== undefined) return found;
  throw new RotatorError("SETTINGS", `class ${className}: expected one of ${Object.keys(plan.classes).join(", ")}`);
}

/** What the steps of a class do. */
function workOf(parts: Parts, className: string, records: Records): ClassWork {
  const planned = classNamed(parts.plan, className);
  const nudge = async (groups: readonly string[]): Promise<void> => {
    const missed = await parts.consumers.nudge(groups);
    if (missed.length > 0)
      records.notice(className, `${missed.join(", ")}: not told that there is something new; the next poll finds it`);
  };
  if (planned.kind === "database") return accountsOf(parts, className, nudge);
  if (planned.kind === "keys") return keysOf(parts, className);
  if (planned.kind === "authority") return authorityOf(parts, className);
  const { values, consumers, plan } = parts;
  const { converge: limit, look } = plan.limits;
  return new SharedKeys({ groups: planned.groups, values, consumers, nudge, clock: machineClock, limit, look });
}

/** The keys that encrypt as a class. @throws RotatorError `SETTINGS` for a class of another kind */
export function keysOf({ plan, vault, consumers, trust }: Parts, className: string): EncryptionKeys {
  const planned = classNamed(plan, className);
  if (planned.kind !== "keys") throw new RotatorError("SETTINGS", `class ${className}: expected the kind keys`);
  const { converge: limit, look, database } = plan.limits;
  return new EncryptionKeys({
    tenant: plan.tenant,
    transit: new TransitKey(vault, planned.transit),
    // Cards are counted by the database before an answer.
    api: new KeyApi(planned.api, trust, database),
    consumers,
    clock: machineClock,
    rotates: planned.rotates,
    limit,
    look,
  });
}

/** The egress proxies' authority as a class. @throws RotatorError `SETTINGS` for a class of another kind */
export function authorityOf({ plan, vault, consumers }: Parts, className: string): EgressAuthority {
  const planned = classNamed(plan, className);
  if (planned.kind !== "authority")
    throw new RotatorError("SETTINGS", `class ${className}: expected the kind authority`);
  const { pki: mount, stem, days, trustSeconds, renewSeconds } = planned;
  return new EgressAuthority({
    tenant: plan.tenant,
    issuers: new PkiIssuers(vault, { mount, stem, days }),
    consumers,
    clock: machineClock,
    trustSeconds,
    renewSeconds,
  });
}

/** The database's accounts as a class. @throws RotatorError `SETTINGS` for a class of another kind */
export function accountsOf(
  { plan, values, consumers, mysqlCa }: Parts,
  className: string,
  nudge: (groups: readonly string[]) => Promise<void> = () => Promise.resolve(),
): DatabaseAccounts {
  const planned = classNamed(plan, className);
  const { members, schema } = plan.database;
  const accounts = catalogue(schema);
  const groups =
    planned.kind !== "database"
      ? []
      : planned.groups.map(({ name, account, generated }): AccountGroup => ({
          name,
          generated,
          account: accountNamed(accounts, account),
        }));
  const admin = groups.find(({ account }) => account.name === "rotation");
  if (admin === undefined) {
    throw new RotatorError("SETTINGS", `class ${className}: expected the account rotation among its groups`);
  }
  return new DatabaseAccounts({
    groups,
    admin,
    values,
    consumers,
    nudge,
    members,
    ca: mysqlCa(),
    limit: plan.limits.database,
  });
}

/** A run of one class. */
export function runOf(parts: Parts, className: string, records: Records, why: string): ClassRun {
  const { plan, ledgers, holder } = parts;
  // Some steps of keys wait for consumers too.
  const { graceSeconds, kind } = classNamed(plan, className);
  return new ClassRun({
    className,
    ledgers,
    work: workOf(parts, className, records),
    clock: machineClock,
    records,
    limits: kind !== "database" ? { ...plan.limits, step: plan.limits.step + plan.limits.converge } : plan.limits,
    graceSeconds,
    holder,
    why,
  });
}
