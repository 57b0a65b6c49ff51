import { randomInt } from "node:crypto";
import { type AccountName, accountNamed, catalogue } from "@tokenshield/mysql";

/** What a secret holds. */
export type Data = Record<string, unknown>;

/** The groups of the class `database`, in the order in which they change, and the account of each. */
export const groups: Readonly<Record<string, AccountName>> = {
  database_credentials: "app",
  database_monitoring: "monitoring",
  database_backup: "backup",
  database_replication: "replication",
  database_root: "root",
  database_rotation: "rotation",
};
export const accounts = catalogue("tokenshield");

/** A group of one value that the platform's processes show to each other. */
export interface SharedGroup {
  readonly group: string;
  readonly field: string;
  readonly file: string;
  /** What the file with the generation begins with. */
  readonly stem: string;
}

/** The classes of such values, each with one group. */
export const shared = {
  api: { group: "api_cli", field: "API_KEY", file: "cli-api-key", stem: "cli-api-key" },
  jwt: { group: "jwt", field: "JWT_SECRET", file: "jwt-secret", stem: "jwt" },
} satisfies Record<string, SharedGroup>;

/** One of them. */
export type SharedClass = keyof typeof shared;

/** All classes of the test's tenant. */
export type ClassName = SharedClass | "database" | "encryption";

/** @throws Error for another name */
export function accountOf(name: string): AccountName {
  const account = groups[name];
  if (account === undefined) throw new Error(`no account for ${name}`);
  return account;
}

/** 32 letters and digits, as the program generates them. */
export function generated(): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from({ length: 32 }, () => letters[randomInt(letters.length)] ?? "").join("");
}

/** Limits of the plan that a test changes. */
export interface Limits {
  readonly converge: number;
  readonly database: number;
  readonly attempts: number;
}

/** For steps that are to succeed. */
export const usualLimits: Limits = { converge: 60_000, database: 20_000, attempts: 2 };
/** For steps that are to fail. */
export const shortLimits: Limits = { converge: 500, database: 2_000, attempts: 1 };

/** The content of an account's secret, as the program writes it. */
export function accountDocument(name: string, generation: number, password: string): Data {
  const username = accountNamed(accounts, groups[name] ?? "").user;
  const url = `mysql://${username}:${password}@mysql:3306/tokenshield`;
  const document = { username, password, password_previous: "", generation: String(generation) };
  return name === "database_credentials" ? { ...document, url } : document;
}

export const sharedNames = Object.values(shared).map(({ group }) => group);

/** The content of such a group's secret. */
export function sharedDocument({ field }: SharedGroup, generation: number, value: string): Data {
  return { [field]: value, [`${field}_previous`]: "", generation: String(generation) };
}
