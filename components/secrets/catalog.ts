import { previousSuffix } from "@tokenshield/rotation";
import type { Part } from "../parts";

/** The rotation classes, in order. */
export const classNames = ["api", "bump", "database", "encryption", "jwt"] as const;

/** One of `classNames`. */
export type ClassName = (typeof classNames)[number];

/** Where the value of a field comes from. */
export type FieldValue =
  /** Random letters and digits; 40 of 62 characters are 238 bits. */
  | { readonly kind: "generated"; readonly length: number }
  | { readonly kind: "fixed"; readonly text: string }
  /** The address of the database with login and password of the group. */
  | { readonly kind: "databaseUrl" };

/** One field of a group: a key of its KV secret, and a file in the pods that read it. */
export interface SecretField {
  readonly field: string;
  readonly file: string;
  readonly value: FieldValue;
}

/** Values that change together: one KV secret, one generation. */
export interface SecretGroup {
  readonly name: string;
  readonly className: ClassName;
  /** What its files begin with; the generation lies in `<stem>-generation`. */
  readonly stem: string;
  readonly fields: readonly SecretField[];
  /** The parts that mount it. The rotator reads every group besides. */
  readonly readers: readonly Part[];
  /** The account of the database whose password it holds, by the name of `packages/mysql`. */
  readonly account?: DatabaseAccount;
}

/** The accounts of the database. */
export type DatabaseAccount = "root" | "replication" | "app" | "backup" | "monitoring" | "rotation";

const generated: FieldValue = { kind: "generated", length: 40 };
/** 190 bits. MySQL takes no longer one for the recovery of a group's members (ER_GROUP_REPLICATION_PASSWORD_LENGTH). */
const databasePassword: FieldValue = { kind: "generated", length: 32 };

function account(
  name: string,
  of: DatabaseAccount,
  stem: string,
  login: string,
  readers: readonly Part[],
): SecretGroup {
  return {
    name,
    account: of,
    className: "database",
    stem,
    readers,
    fields: [
      { field: "username", file: `${stem}-username`, value: { kind: "fixed", text: login } },
      { field: "password", file: `${stem}-password`, value: databasePassword },
    ],
  };
}

function apiKey(client: keyof typeof platformClients, readers: readonly Part[]): SecretGroup {
  const stem = `${client}-api-key`;
  return {
    name: `api_${client}`,
    className: "api",
    stem,
    readers,
    fields: [{ field: "API_KEY", file: stem, value: generated }],
  };
}

/** The platform's own clients of the management API, and what each may do there. None may reveal. */
export const platformClients: Readonly<Record<"dashboard" | "cli" | "backup", string>> = {
  dashboard: "read",
  cli: "read+write",
  backup: "read",
};

const application = account("database_credentials", "app", "db", "tokenshield", ["tokenizer", "database"]);

/** Every group that is generated for a tenant. Names of groups, fields and files are a contract with their readers. */
export const secretGroups: readonly SecretGroup[] = [
  {
    ...application,
    fields: [...application.fields, { field: "url", file: "db-url", value: { kind: "databaseUrl" } }],
  },
  account("database_root", "root", "db-root", "root", ["database"]),
  account("database_replication", "replication", "db-replication", "tokenshield_replication", ["database"]),
  account("database_backup", "backup", "db-backup", "tokenshield_backup", ["database", "backup"]),
  account("database_monitoring", "monitoring", "db-monitoring", "tokenshield_monitoring", ["database"]),
  // Changes the passwords of the others; the rotator's.
  account("database_rotation", "rotation", "db-rotation", "tokenshield_rotation", ["database"]),
  apiKey("dashboard", ["tokenizer", "dashboard"]),
  apiKey("cli", ["tokenizer"]),
  apiKey("backup", ["tokenizer", "backup"]),
  {
    // The first password of the built-in account, which has to change it: a later generation opens nothing.
    name: "admin",
    className: "api",
    stem: "admin",
    readers: ["tokenizer"],
    fields: [{ field: "PASSWORD", file: "admin-password", value: generated }],
  },
  {
    name: "jwt",
    className: "jwt",
    stem: "jwt",
    readers: ["tokenizer"],
    fields: [{ field: "JWT_SECRET", file: "jwt-secret", value: generated }],
  },
];

/** A key of a group's KV secret and the file that it becomes. */
export interface SecretFile {
  readonly key: string;
  readonly file: string;
}

/**
 * The files of a group: its fields, the previous values of what is generated, the generation. The previous ones are
 * always there, empty outside a grace, as one object that is missing fails the whole mount.
 */
export function filesOf(group: SecretGroup): SecretFile[] {
  const fields = group.fields.map(({ field, file }) => ({ key: field, file }));
  const before = group.fields
    .filter(({ value }) => value.kind === "generated")
    .map(({ field, file }) => ({ key: `${field}_${previousSuffix}`, file: `${file}-${previousSuffix}` }));
  return [...fields, ...before, { key: "generation", file: `${group.stem}-generation` }];
}

/** The groups that a part mounts. */
export function groupsReadBy(part: Part, groups: readonly SecretGroup[]): SecretGroup[] {
  return groups.filter(({ readers }) => readers.includes(part));
}
