import { readFileSync } from "node:fs";
import { layout } from "@tokenshield/lab";
import { call } from "../../../lab/src/https.ts";
import { paths } from "../../../lab/src/layout.ts";
import { addresses } from "../../../lab/src/network.ts";
import { kubectl } from "./lab.ts";

/** What Vault answered. A body is never put into a message: it may hold a value. */
export interface VaultAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A request to the lab's Vault with a token, so that a test sees what that token may do. */
export async function askVault(
  token: string,
  method: "GET" | "POST",
  path: string,
  body?: object,
): Promise<VaultAnswer> {
  const headers = token === "" ? {} : { "x-vault-token": token };
  const answer = await call(layout(), `${addresses.vault}/v1/${path}`, { method, headers, body, timeout: 15_000 });
  return {
    status: answer.status,
    body: answer.body === "" ? {} : (JSON.parse(answer.body) as Record<string, unknown>),
  };
}

/** The token that may do everything; it stays inside a test. */
export function rootToken(): string {
  return readFileSync(`${paths.vaultHome(layout())}/.vault-token`, "utf8").trim();
}

/**
 * Logs in to Vault as the driver does for a pod.
 * @param account namespace and name of the pod's ServiceAccount
 * @returns the answer of the login, and its token; empty where it was refused
 */
export async function loginOf(
  account: { readonly namespace: string; readonly name: string },
  role: string,
): Promise<VaultAnswer & { readonly token: string }> {
  const words = ["--audience=vault", "--duration=10m"];
  const jwt = (await kubectl("create", "token", account.name, "-n", account.namespace, ...words)).trim();
  const answer = await askVault("", "POST", "auth/kubernetes/login", { role, jwt });
  const { client_token: token = "" } = (answer.body["auth"] ?? {}) as { client_token?: string };
  return { ...answer, token };
}

/** The names below a path of a KV mount, folders with a slash at their end. */
async function namesBelow(mount: string, path: string): Promise<readonly string[]> {
  const { body } = await askVault(rootToken(), "GET", `${mount}/metadata/${path}?list=true`);
  return (body["data"] as { keys?: readonly string[] } | undefined)?.keys ?? [];
}

/** Every entry below a path of a KV mount, by its path, with what it holds now. */
export async function entriesBelow(mount: string, path: string): Promise<ReadonlyMap<string, Record<string, string>>> {
  const found = new Map<string, Record<string, string>>();
  for (const name of await namesBelow(mount, path)) {
    if (name.endsWith("/")) {
      for (const [below, entry] of await entriesBelow(mount, path + name)) found.set(below, entry);
      continue;
    }
    const { status, body } = await askVault(rootToken(), "GET", `${mount}/data/${path}${name}`);
    // An entry whose current version was deleted has none.
    if (status === 200) found.set(path + name, (body["data"] as { data: Record<string, string> }).data);
  }
  return found;
}
