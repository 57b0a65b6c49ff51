import { createHash, randomBytes } from "node:crypto";
import { type Account, type AccountName, accountNamed, catalogue } from "@tokenshield/mysql";
import { attemptLab, lab, vault } from "../support/lab.ts";
import { asRoot, secretOf } from "./as-root.ts";
import { members, namespace } from "./group.ts";

const accounts = catalogue("tokenshield");

/** The accounts whose rotation is shown, and the KV secrets in which their logins lie. */
export const rotated = {
  root: "database_root",
  replication: "database_replication",
  app: "database_credentials",
  backup: "database_backup",
  monitoring: "database_monitoring",
} as const satisfies Partial<Record<AccountName, string>>;

export type Rotated = keyof typeof rotated;
export type Step = "retain" | "verify" | "discard" | "refused";

type Document = Readonly<Record<string, string>>;

export const account = (name: AccountName): Account => accountNamed(accounts, name);

/** A password as the platform makes them: letters and digits. */
export const newPassword = (): string =>
  `${randomBytes(18)
    .toString("base64")
    .replaceAll(/[^A-Za-z0-9]/g, "")}1a`;

const path = (name: Rotated): string => `tokenshield-lab/tenants/acme/${rotated[name]}`;

interface Kept {
  readonly data: Document;
  readonly metadata: { readonly version: number };
}

async function kept(name: Rotated): Promise<Kept> {
  return (JSON.parse(await vault("kv", "get", "-format=json", path(name))) as { data: Kept }).data;
}

/** The KV secret of an account's login. */
export const published = async (name: Rotated): Promise<Document> => (await kept(name)).data;

/** Writes the KV secret anew, unless somebody else has meanwhile; the value goes by standard input. */
export async function publish(name: Rotated, document: Document): Promise<void> {
  const { version } = (await kept(name)).metadata;
  await lab(["vault", "kv", "put", `-cas=${version}`, path(name), "-"], JSON.stringify(document));
}

/** A document with another password, the former one beside it. */
export function withPassword(document: Document, password: string): Document {
  const former = document["password"] ?? "";
  const url = document["url"]?.replace(former, password);
  const next = {
    ...document,
    password,
    password_previous: former,
    generation: `${Number(document["generation"]) + 1}`,
  };
  return url === undefined ? next : { ...next, url };
}

/** Without the password before the present one. */
export const closed = (document: Document): Document => ({ ...document, password_previous: "" });

/** Waits until the files of every member's agent, and whatever else is told, have a password. */
export async function converged(
  name: Rotated,
  password: string,
  others: readonly ((file: string) => Promise<string>)[],
): Promise<void> {
  const { file } = account(name);
  const digest = (text: string): string => createHash("sha256").update(text.trimEnd()).digest("hex");
  const readers = [...members.map((member) => () => secretOf(member, file)), ...others.map((read) => () => read(file))];
  const end = Date.now() + 240_000;
  for (const read of readers) {
    while (digest(await read()) !== digest(password)) {
      if (Date.now() > end) throw new Error(`${file}: a pod has not got the new value in 240 s`);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
  }
}

/**
 * One step of a rotation, as a process in a member's agent.
 * @param killAfter seconds after which the process is killed; absent: it runs to its end
 * @returns what ended it
 */
export async function step(
  name: Step,
  of: Rotated,
  { generation, password, killAfter }: { generation: number; password: string; killAfter?: number },
): Promise<"done" | "killed"> {
  const admin = ["--admin", "/mnt/secrets/db-rotation-password"];
  const words = [
    "rotate",
    name,
    "--account",
    of,
    "--generation",
    `${generation}`,
    "--password",
    "/dev/stdin",
    ...admin,
  ];
  const limit = killAfter === undefined ? [] : ["timeout", "-s", "KILL", `${killAfter}`];
  const { status, stdout, stderr } = await attemptLab(
    [
      "kubectl",
      "-n",
      namespace,
      "exec",
      "-i",
      members[0] ?? "",
      "-c",
      "mysql-agent",
      "--",
      ...limit,
      "/usr/local/bin/node",
      "/app/main.mjs",
      ...words,
    ],
    password,
  );
  if (status === 0) return "done";
  if (killAfter !== undefined && /137|[Kk]illed/.test(stderr)) return "killed";
  throw new Error(`${name} of ${of} ended with ${status}: ${stdout}${stderr}`);
}

/** @returns the members whose server lets root in with a password; its account is refused from outside of the pod */
export async function rootAccepts(password: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const member of members) {
    try {
      await asRoot(member, "DO 0", password);
      found.push(member);
    } catch (error) {
      if (!(error instanceof Error && /ERROR 1045/.test(error.message))) throw error;
    }
  }
  return found;
}

/** Connections that ended before a login, of every member since its server started: refused logins among them. */
export async function brokenLogins(): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const member of members) {
    const line = await asRoot(member, "SHOW GLOBAL STATUS LIKE 'Aborted_connects'");
    counts.set(member, Number(line.trim().split("\t")[1]));
  }
  return counts;
}
