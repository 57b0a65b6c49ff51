import { GroupError } from "./errors.ts";
import type { Session } from "./session.ts";

/** Privileges on one level: `*.*`, a schema's tables, or one table. */
export interface Right {
  readonly on: string;
  readonly privileges: readonly string[];
}

export type AccountName = "root" | "replication" | "app" | "backup" | "monitoring" | "rotation";

/** One account of the group: who it is, where its password lies, and the least that it needs. */
export interface Account {
  readonly name: AccountName;
  readonly user: string;
  readonly host: string;
  /** File with the password, below the folder of secrets; with `-previous` appended, the one before it. */
  readonly file: string;
  readonly rights: readonly Right[];
}

/** Logins that don't follow from the account's name. */
const logins: Partial<Record<AccountName, string>> = { root: "root", app: "tokenshield" };

const performance: Right = { on: "`performance_schema`.*", privileges: ["SELECT"] };

/**
 * The accounts of a group that serves one schema.
 *
 * @param schema name of the application's schema, of letters, digits and underscores
 */
export function catalogue(schema: string): readonly Account[] {
  const tables = `\`${schema}\`.*`;
  const account = (name: AccountName, file: string, rights: readonly Right[]): Account => ({
    name,
    user: logins[name] ?? `tokenshield_${name}`,
    host: name === "root" ? "127.0.0.1" : "%",
    file,
    rights,
  });
  return [
    // The agent's own, from inside the pod only; made before the server serves, see `initialStatements`.
    account("root", "db-root-password", []),
    // Recovery channel and clone donor. CONNECTION_ADMIN lets it in while a member is in offline mode.
    account("replication", "db-replication-password", [
      { on: "*.*", privileges: ["BACKUP_ADMIN", "CONNECTION_ADMIN", "REPLICATION SLAVE"] },
    ]),
    // The application brings its own schema up to date, and has no right outside of it.
    account("app", "db-password", [
      {
        on: tables,
        privileges: ["ALTER", "CREATE", "DELETE", "DROP", "INDEX", "INSERT", "REFERENCES", "SELECT", "UPDATE"],
      },
    ]),
    account("backup", "db-backup-password", [
      {
        on: "*.*",
        privileges: [
          "BACKUP_ADMIN",
          "EVENT",
          "LOCK TABLES",
          "PROCESS",
          "RELOAD",
          "REPLICATION CLIENT",
          "SELECT",
        ].concat(["SHOW VIEW", "TRIGGER"]),
      },
    ]),
    account("monitoring", "db-monitoring-password", [
      { on: "*.*", privileges: ["PROCESS", "REPLICATION CLIENT"] },
      performance,
    ]),
    // SYSTEM_USER: without it nobody may change root's password.
    account("rotation", "db-rotation-password", [
      { on: "*.*", privileges: ["CREATE USER", "SYSTEM_USER"] },
      { on: "`mysql`.`user`", privileges: ["SELECT"] },
      performance,
    ]),
  ];
}

/** @throws GroupError `USAGE` if there is no such account */
export function accountNamed(accounts: readonly Account[], name: string): Account {
  const found = accounts.find((account) => account.name === name);
  if (found !== undefined) return found;
  throw new GroupError(
    "USAGE",
    `account ${name}: expected one of ${accounts.map((account) => account.name).join(", ")}`,
  );
}

const quoted = (value: string): string => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/**
 * What a new server runs by `init_file` before it serves: root from inside the pod only, outside of the binary log, so
 * that no member has a transaction of its own. Harmless where it was run before.
 *
 * @param password root's; the text returned holds it: keep it in a memory volume that only the server's user reads
 */
export function initialStatements(password: string): string {
  if (/[\r\n\0]/.test(password)) throw new GroupError("SETTINGS", "root's password: expected one line");
  return [
    "SET GLOBAL super_read_only = OFF;",
    "SET SESSION sql_log_bin = OFF;",
    `CREATE USER IF NOT EXISTS root@'127.0.0.1' IDENTIFIED BY ${quoted(password)} REQUIRE SSL ATTRIBUTE '{"generation": 1}';`,
    "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;",
    "DROP USER IF EXISTS root@'localhost';",
    "SET GLOBAL super_read_only = ON;",
    "",
  ].join("\n");
}

/** One privilege on one level. */
const pairs = (rights: readonly Right[]): ReadonlySet<string> =>
  new Set(rights.flatMap(({ on, privileges }) => privileges.map((privilege) => `${privilege} ON ${on}`)));

/** @returns privileges by level, as `SHOW GRANTS` prints them; roles and the bare USAGE are none */
export function parseGrants(lines: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of lines) {
    const [, privileges, on] = /^GRANT (.+) ON (\S+) TO /.exec(line) ?? [];
    if (privileges === undefined || on === undefined) continue;
    for (const privilege of privileges.split(",").map((word) => word.trim()))
      if (privilege !== "USAGE") found.add(`${privilege} ON ${on}`);
  }
  return found;
}

/**
 * Makes the schema and the accounts that have a password and don't exist, and gives each account exactly its rights:
 * what is missing first, then what is too much is taken away. Passwords of accounts that exist are left alone: that is
 * what rotations are for. To be run on the primary.
 *
 * @param password gives an account's password, undefined where the account is not wanted
 */
export async function ensureAccounts(
  session: Session,
  schema: string,
  password: (account: Account) => string | undefined,
): Promise<void> {
  const schemas = await session.run("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", [schema]);
  if (schemas.length === 0) await session.run(`CREATE DATABASE IF NOT EXISTS \`${schema}\``);
  for (const account of catalogue(schema)) {
    if (account.name === "root") continue;
    const known = await session.run("SELECT 1 FROM mysql.user WHERE User = ? AND Host = ?", [
      account.user,
      account.host,
    ]);
    if (known.length === 0) {
      const first = password(account);
      if (first === undefined) continue;
      await session.run(`CREATE USER IF NOT EXISTS ?@? IDENTIFIED BY ? REQUIRE SSL ATTRIBUTE '{"generation": 1}'`, [
        account.user,
        account.host,
        first,
      ]);
    }
    await setRights(session, account);
  }
}

async function setRights(session: Session, account: Account): Promise<void> {
  const who = [account.user, account.host];
  const lines = (await session.run("SHOW GRANTS FOR ?@?", who)).map((row) => String(Object.values(row)[0]));
  const has = parseGrants(lines);
  const wanted = pairs(account.rights);
  for (const right of wanted) if (!has.has(right)) await session.run(`GRANT ${right} TO ?@?`, who);
  for (const right of has) if (!wanted.has(right)) await session.run(`REVOKE ${right} FROM ?@?`, who);
}
