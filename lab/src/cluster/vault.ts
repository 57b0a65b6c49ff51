import { existsSync, readFileSync } from "node:fs";
import { LabError } from "../errors.ts";
import { writeFile } from "../files.ts";
import { type Answer, call } from "../https.ts";
import { type Layout, paths } from "../layout.ts";
import { addresses } from "../network.ts";
import { waitUntil } from "../wait.ts";

/** Shares that Vault was initialised with; any three unseal it (PCI DSS 3.7.6: no single custodian holds a key). */
const shares = { all: 5, threshold: 3 } as const;

interface Keys {
  readonly unseal: readonly string[];
  readonly root: string;
}

interface Initialised {
  readonly keys_base64: readonly string[];
  readonly root_token: string;
}

/** Calls Vault and parses its answer. @throws LabError if the status is not among those expected */
async function api<Body>(
  at: Layout,
  method: "GET" | "POST" | "PUT",
  path: string,
  body?: unknown,
  expected = [200, 204],
): Promise<Body> {
  const token = existsSync(paths.vaultKeys(at)) ? { "x-vault-token": readKeys(at).root } : {};
  const answer: Answer = await call(at, `${addresses.vault}/v1/${path}`, {
    method,
    body,
    headers: token,
    timeout: 15_000,
  });
  if (!expected.includes(answer.status)) {
    throw new LabError(
      "PART_FAILED",
      `Vault answers ${answer.status} to ${method} ${path}: ${answer.body.slice(0, 300)}`,
    );
  }
  return (answer.body === "" ? {} : JSON.parse(answer.body)) as Body;
}

function readKeys(at: Layout): Keys {
  return JSON.parse(readFileSync(paths.vaultKeys(at), "utf8")) as Keys;
}

/** Initialises Vault once, unseals it, and leaves the root token where only its owner can read it. */
export async function openVault(at: Layout): Promise<void> {
  const { initialized } = await api<{ initialized: boolean }>(at, "GET", "sys/init");
  if (!initialized) {
    const request = { secret_shares: shares.all, secret_threshold: shares.threshold };
    const made = await api<Initialised>(at, "PUT", "sys/init", request);
    writeFile(
      paths.vaultKeys(at),
      JSON.stringify({ unseal: made.keys_base64, root: made.root_token } satisfies Keys),
      0o600,
    );
  }
  if (!existsSync(paths.vaultKeys(at))) {
    throw new LabError(
      "PART_FAILED",
      `Vault has data, but its keys (${paths.vaultKeys(at)}) are gone. Run: npm run lab -- reset`,
    );
  }
  const keys = readKeys(at);
  const { sealed } = await api<{ sealed: boolean }>(at, "GET", "sys/seal-status");
  if (sealed) for (const key of keys.unseal.slice(0, shares.threshold)) await api(at, "PUT", "sys/unseal", { key });
  writeFile(`${paths.vaultHome(at)}/.vault-token`, keys.root, 0o600);
  await waitActive(at);
}

/** After unsealing, the only member of the group still has to win its election. */
async function waitActive(at: Layout): Promise<void> {
  let status = 0;
  const active = await waitUntil(async () => {
    ({ status } = await call(at, `${addresses.vault}/v1/sys/health`));
    return status === 200;
  }, 30_000);
  if (!active) throw new LabError("PART_FAILED", `Vault does not become active (its health answers ${status})`);
}

/** Turns on an audit device and logins by service-account token, where they are not yet. */
export async function configureVault(at: Layout): Promise<void> {
  const audits = await api<Record<string, unknown>>(at, "GET", "sys/audit");
  if (audits["lab/"] === undefined) {
    const options = { file_path: paths.log(at, "vault-audit"), mode: "0600" };
    await api(at, "PUT", "sys/audit/lab", { type: "file", description: "the lab's audit log", options });
  }
  const methods = await api<Record<string, unknown>>(at, "GET", "sys/auth");
  if (methods["kubernetes/"] === undefined) await api(at, "POST", "sys/auth/kubernetes", { type: "kubernetes" });
  await api(at, "POST", "auth/kubernetes/config", {
    kubernetes_host: addresses.apiserver,
    kubernetes_ca_cert: readFileSync(paths.pki(at, "ca.crt"), "utf8"),
    token_reviewer_jwt: await reviewerToken(at),
    disable_local_ca_jwt: true,
  });
}

/** @returns the token by which Vault asks the API server whether another token is genuine */
async function reviewerToken(at: Layout): Promise<string> {
  const url = `${addresses.apiserver}/api/v1/namespaces/vault/secrets/vault-token-reviewer`;
  let token: string | undefined;
  await waitUntil(async () => {
    const { status, body } = await call(at, url, { client: { certificate: "admin", authority: "ca" } });
    token = status === 200 ? (JSON.parse(body) as { data?: { token?: string } }).data?.token : undefined;
    return token !== undefined;
  }, 20_000);
  if (token === undefined) {
    throw new LabError("PART_FAILED", "the API server makes no token for vault/vault-token-reviewer");
  }
  return Buffer.from(token, "base64").toString("utf8");
}

export type VaultState = "unsealed" | "sealed" | "not initialised" | "unreachable";

/** @returns what Vault says of itself, without a token */
export async function vaultState(at: Layout): Promise<VaultState> {
  try {
    const { body } = await call(at, `${addresses.vault}/v1/sys/seal-status`);
    const { initialized, sealed } = JSON.parse(body) as { initialized: boolean; sealed: boolean };
    if (!initialized) return "not initialised";
    return sealed ? "sealed" : "unsealed";
  } catch {
    return "unreachable";
  }
}
