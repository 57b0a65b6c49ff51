import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { NeedsPulumiCli, ProviderError } from "../protocol/errors.ts";
import { Secret, isJsonMap, toJson } from "../protocol/value.ts";
import type { Json, JsonMap, PropertyMap } from "../protocol/value.ts";
import { VaultClient } from "./client.ts";
import type { VaultAddress } from "./client.ts";
import type { ExistingObjects } from "./vault-type.ts";

/** Options whose values open Vault; they are secrets in the state, whatever the program says. */
const confidential = ["token", "authLogin", "authLoginJwt", "authLoginUserpass", "headers"];
const known = new Set([
  ...confidential,
  ...["address", "authLoginTokenFile", "caCertFile", "clientAuth", "maxLeaseTtlSeconds", "maxRetries", "namespace"],
  ...["skipChildToken", "skipTlsVerify", "tlsServerName", "tokenName"],
  // Without meaning here: no environment is handed on, no version is asked for.
  ...["addAddressToEnv", "maxRetriesCcc", "skipGetVaultVersion", "vaultVersionOverride", "version"],
]);

/** @returns the configuration with what opens Vault marked secret */
export function protectConfig(inputs: PropertyMap): PropertyMap {
  const entries = Object.entries(inputs).map(([key, value]): [string, PropertyMap[string]] => [
    key,
    confidential.includes(key) && !(value instanceof Secret) ? new Secret(value) : value,
  ]);
  return Object.fromEntries(entries);
}

/**
 * Mounts, audit devices and authorities that are there already are refused, unless the one who updates says that they are
 * the stack's own, whose state was lost.
 *
 * @param environment TOKENSHIELD_VAULT_EXISTING: `adopt` or `refuse`. Default: `refuse`
 * @throws ProviderError for any other value
 */
export function existingObjects(environment: NodeJS.ProcessEnv): ExistingObjects {
  const { TOKENSHIELD_VAULT_EXISTING: given = "refuse" } = environment;
  if (given === "adopt" || given === "refuse") return given;
  throw new ProviderError(`TOKENSHIELD_VAULT_EXISTING: expected adopt or refuse, given ${given}`);
}

/** @returns the name of an option that these providers don't have, or undefined */
export function unknownOption(inputs: PropertyMap): string | undefined {
  return Object.entries(inputs).find(
    ([key, value]) => !known.has(key) && !key.startsWith("__") && value !== null && value !== "" && value !== "null",
  )?.[0];
}

/**
 * Opens Vault as the configuration says: with its token, $VAULT_TOKEN or ~/.vault-token, or by a login; then, unless
 * `skipChildToken` is set, with a child token that lives `maxLeaseTtlSeconds`, as the real provider does.
 * @param environment gives VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT, VAULT_NAMESPACE and the like
 */
export async function openVault(
  inputs: PropertyMap,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<VaultClient> {
  const option = unknownOption(inputs);
  if (option !== undefined) {
    throw new NeedsPulumiCli(`option "${option}" of the Vault provider`);
  }
  const config = parsed(toJson(inputs));
  const client = new VaultClient(
    addressOf(config, environment),
    "",
    text(config["namespace"]) ?? environment["VAULT_NAMESPACE"] ?? "",
  );
  client.use(await login(client, config, environment));
  if (config["skipChildToken"] !== true) {
    client.use(await childToken(client, config));
  }
  return client;
}

/** SDKs send values that are no texts as JSON in texts. */
function parsed(config: JsonMap): JsonMap {
  const texts = new Set(["address", "token", "namespace", "caCertFile", "tlsServerName", "tokenName"]);
  const entries = Object.entries(config).map(([key, value]): [string, Json] => {
    if (texts.has(key) || typeof value !== "string" || value === "") {
      return [key, value];
    }
    try {
      return [key, JSON.parse(value) as Json];
    } catch {
      // A text that is no JSON is a text.
      return [key, value];
    }
  });
  return Object.fromEntries(entries);
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function addressOf(config: JsonMap, environment: NodeJS.ProcessEnv): VaultAddress {
  const address = text(config["address"]) ?? environment["VAULT_ADDR"];
  if (address === undefined) {
    throw new ProviderError("the Vault provider has no address: set vault:address or VAULT_ADDR");
  }
  const caFile = text(config["caCertFile"]) ?? environment["VAULT_CACERT"];
  const serverName = text(config["tlsServerName"]) ?? environment["VAULT_TLS_SERVER_NAME"];
  const clientAuth = isJsonMap(config["clientAuth"]) ? config["clientAuth"] : {};
  const [certificateFile, keyFile] = [text(clientAuth["certFile"]), text(clientAuth["keyFile"])];
  const skip = config["skipTlsVerify"] ?? environment["VAULT_SKIP_VERIFY"] ?? false;
  return {
    address,
    ...(caFile === undefined ? {} : { caFile }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(certificateFile === undefined ? {} : { certificateFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    verification: skip === true || skip === "true" || skip === "1" ? "off" : "on",
    headers: headersOf(config["headers"]),
    retries: typeof config["maxRetries"] === "number" ? config["maxRetries"] : 2,
  };
}

function headersOf(value: Json | undefined): Readonly<Record<string, string>> {
  const list = Array.isArray(value) ? (value as readonly Json[]).filter(isJsonMap) : [];
  return Object.fromEntries(list.map(({ name = "", value: content = "" }) => [name as string, content as string]));
}

/** Logins that are one request: which path, with which parameters. */
async function login(client: VaultClient, config: JsonMap, environment: NodeJS.ProcessEnv): Promise<string> {
  const { authLogin, authLoginJwt, authLoginUserpass, authLoginTokenFile } = config;
  if (isJsonMap(authLogin)) {
    const path = text(authLogin["path"]) ?? "auth/kubernetes/login";
    const parameters = isJsonMap(authLogin["parameters"]) ? authLogin["parameters"] : {};
    return tokenOf(client.inNamespace(text(authLogin["namespace"]) ?? ""), path, parameters);
  }
  if (isJsonMap(authLoginJwt)) {
    const { mount, role = null, jwt = null } = authLoginJwt;
    const path = `auth/${text(mount) ?? "jwt"}/login`;
    return tokenOf(client.inNamespace(text(authLoginJwt["namespace"]) ?? ""), path, { role, jwt });
  }
  if (isJsonMap(authLoginUserpass)) {
    const { mount, username, password = null } = authLoginUserpass;
    const path = `auth/${text(mount) ?? "userpass"}/login/${text(username) ?? ""}`;
    return tokenOf(client.inNamespace(text(authLoginUserpass["namespace"]) ?? ""), path, { password });
  }
  if (isJsonMap(authLoginTokenFile)) {
    return readFileSync(text(authLoginTokenFile["filename"]) ?? "", "utf8").trim();
  }
  const file = join(homedir(), ".vault-token");
  const token = text(config["token"]) ?? text(environment["VAULT_TOKEN"]);
  if (token !== undefined) {
    return token;
  }
  if (existsSync(file)) {
    return readFileSync(file, "utf8").trim();
  }
  throw new ProviderError("the Vault provider has no token: set vault:token, VAULT_TOKEN or a login");
}

async function tokenOf(client: VaultClient, path: string, parameters: JsonMap): Promise<string> {
  const { auth } = await client.request("POST", path, parameters);
  const token = isJsonMap(auth) ? text(auth["client_token"]) : undefined;
  if (token === undefined) {
    throw new ProviderError(`the login to Vault at ${path} gave no token`);
  }
  return token;
}

async function childToken(client: VaultClient, config: JsonMap): Promise<string> {
  const seconds = typeof config["maxLeaseTtlSeconds"] === "number" ? config["maxLeaseTtlSeconds"] : 1_200;
  return tokenOf(client, "auth/token/create", {
    ttl: `${seconds}s`,
    explicit_max_ttl: `${seconds}s`,
    renewable: false,
    display_name: text(config["tokenName"]) ?? "pulumi",
  });
}
