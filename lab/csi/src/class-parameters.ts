import { parse } from "yaml";
import { invalid } from "./errors.ts";
import { badPath } from "./payload.ts";

/** One object of a class: what to ask Vault for, and the file that the answer becomes. */
export interface SecretObject {
  /** The file, relative to the volume. */
  readonly objectName: string;
  /** Path below `/v1/` with its query, such as `kv/data/app` or `kv/data/app?version=2`. */
  readonly secretPath: string;
  /** Field of the answer's data; the whole answer as JSON where undefined. */
  readonly secretKey?: string;
  readonly method: string;
  /** Body of the request. */
  readonly secretArgs?: Readonly<Record<string, unknown>>;
  /** Permission bits of the file; the volume's where undefined. */
  readonly filePermission?: number;
  readonly encoding: "utf-8" | "base64" | "hex";
}

/** The parameters of a class with provider `vault`, under the names of Vault's CSI provider. */
export interface ClassParameters {
  readonly address: string;
  readonly role: string;
  /** Auth mount, without `auth/`. */
  readonly authMount: string;
  /** Vault namespace (Vault Enterprise). */
  readonly namespace?: string;
  /** Audience of the service-account token that logs in. */
  readonly audience: string;
  /** File and folder, in the driver's container, with the authorities that signed Vault's certificate. */
  readonly caFile?: string;
  readonly caFolder?: string;
  /** Name in Vault's certificate, where it is not the address's host. */
  readonly serverName?: string;
  readonly objects: readonly SecretObject[];
}

const known = new Set([
  "vaultAddress",
  "roleName",
  "vaultKubernetesMountPath",
  "vaultAuthMountPath",
  "vaultNamespace",
  "vaultCACertPath",
  "vaultCADirectory",
  "vaultTLSServerName",
  "audience",
  "objects",
]);

const knownOfObject = new Set([
  "objectName",
  "secretPath",
  "secretKey",
  "method",
  "secretArgs",
  "filePermission",
  "encoding",
]);

const refused: Readonly<Record<string, string>> = {
  vaultSkipTLSVerify: "this driver verifies Vault's certificate always",
  vaultTLSClientCertPath: "this driver has no client certificates",
  vaultTLSClientKeyPath: "this driver has no client certificates",
};

/**
 * Reads the parameters of a class.
 *
 * @param parameters `spec.parameters`
 * @param defaultAddress Vault's address where the class names none
 * @throws CallError INVALID_ARGUMENT with every fault. Unknown names are faults: Vault's provider ignores them, so
 *   that a field such as `optional` would promise what nobody keeps.
 */
export function readParameters(
  parameters: Readonly<Record<string, string>>,
  defaultAddress: string | undefined,
): ClassParameters {
  const faults: string[] = [];
  for (const name of Object.keys(parameters)) {
    if (refused[name] !== undefined) faults.push(`parameter ${name}: ${refused[name]}`);
    else if (!known.has(name)) faults.push(`parameter ${name} is unknown: expected ${[...known].join(", ")}`);
  }
  const given = (name: string): string | undefined => {
    const value = parameters[name];
    return value === "" ? undefined : value;
  };
  const address = given("vaultAddress") ?? defaultAddress;
  if (address === undefined) faults.push("parameter vaultAddress is missing");
  else if (!URL.canParse(address) || new URL(address).protocol !== "https:") {
    faults.push("parameter vaultAddress: expected https://HOST:PORT");
  }
  const role = given("roleName");
  if (role === undefined) faults.push("parameter roleName is missing");
  const mounts = [given("vaultKubernetesMountPath"), given("vaultAuthMountPath")].filter((path) => path !== undefined);
  if (mounts.length > 1) faults.push("parameters vaultKubernetesMountPath and vaultAuthMountPath exclude each other");
  const objects = readObjects(parameters["objects"] ?? "", faults);
  if (faults.length > 0 || address === undefined || role === undefined) throw invalid(faults.join("; "));
  const [namespace, caFile, caFolder] = [given("vaultNamespace"), given("vaultCACertPath"), given("vaultCADirectory")];
  const serverName = given("vaultTLSServerName");
  return {
    address,
    role,
    authMount: (mounts[0] ?? "kubernetes").replace(/^\/+|\/+$/g, ""),
    audience: given("audience") ?? "vault",
    objects,
    ...(namespace === undefined ? {} : { namespace }),
    ...(caFile === undefined ? {} : { caFile }),
    ...(caFolder === undefined ? {} : { caFolder }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** Reads the YAML list of objects; what is wrong with it goes to `faults`. */
function readObjects(text: string, faults: string[]): readonly SecretObject[] {
  let list: unknown;
  try {
    // YAML 1.1 reads 0644 as an octal number, as Vault's provider does.
    list = parse(text, { version: "1.1" });
  } catch {
    faults.push("parameter objects is no YAML");
    return [];
  }
  if (!Array.isArray(list) || list.length === 0) {
    faults.push("parameter objects: expected a list of at least one object");
    return [];
  }
  const objects = list.flatMap((item: unknown, index) => readObject(item, `objects[${index}]`, faults) ?? []);
  const names = objects.map(({ objectName }) => objectName);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) < index) faults.push(`objects: two have the objectName ${name}`);
    if (names.some((other) => other.startsWith(`${name}/`))) faults.push(`objects: ${name} is a file and a folder`);
  }
  return objects;
}

function readObject(item: unknown, path: string, faults: string[]): SecretObject | undefined {
  const before = faults.length;
  if (!isMapping(item)) {
    faults.push(`${path}: expected a mapping`);
    return undefined;
  }
  for (const name of Object.keys(item)) {
    if (!knownOfObject.has(name)) {
      faults.push(`${path}.${name} is unknown: expected ${[...knownOfObject].join(", ")}`);
    }
  }
  const text = (name: string): string | undefined => {
    const value = item[name];
    if (value === undefined || value === null || value === "") return undefined;
    if (typeof value === "string") return value;
    faults.push(`${path}.${name}: expected a string`);
    return undefined;
  };
  const objectName = text("objectName") ?? "";
  const bad = badPath(objectName);
  if (bad !== undefined) faults.push(`${path}.objectName ${bad}`);
  const secretPath = (text("secretPath") ?? "").replace(/^\/?(v1\/)?/, "");
  if (secretPath === "") faults.push(`${path}.secretPath is missing`);
  const method = (text("method") ?? "GET").toUpperCase();
  if (!["GET", "PUT", "POST"].includes(method)) faults.push(`${path}.method: expected GET, PUT or POST`);
  const encoding = (text("encoding") ?? "utf-8").toLowerCase();
  if (encoding !== "utf-8" && encoding !== "base64" && encoding !== "hex") {
    faults.push(`${path}.encoding: expected utf-8, base64 or hex`);
    return undefined;
  }
  const secretArgs = item["secretArgs"] ?? undefined;
  if (secretArgs !== undefined && !isMapping(secretArgs)) faults.push(`${path}.secretArgs: expected a mapping`);
  const mode = item["filePermission"] ?? undefined;
  if (mode !== undefined && !(typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) {
    faults.push(`${path}.filePermission: expected permission bits between 0 and 0777`);
  }
  const secretKey = text("secretKey");
  if (faults.length > before) return undefined;
  return {
    objectName,
    secretPath,
    method,
    encoding,
    ...(secretKey === undefined ? {} : { secretKey }),
    ...(isMapping(secretArgs) ? { secretArgs } : {}),
    ...(typeof mode === "number" ? { filePermission: mode } : {}),
  };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param tokens the value of `csi.storage.k8s.io/serviceAccount.tokens`: JSON, tokens by audience
 * @returns the pod's token for an audience
 * @throws CallError INVALID_ARGUMENT if there is none; it never carries a token
 */
export function tokenFor(audience: string, tokens: string | undefined): string {
  let parsed: unknown = {};
  try {
    parsed = JSON.parse(tokens === undefined || tokens === "" ? "{}" : tokens);
  } catch {
    throw invalid("the service-account tokens are no JSON");
  }
  const entry = isMapping(parsed) ? parsed[audience] : undefined;
  const token = isMapping(entry) ? entry["token"] : undefined;
  if (typeof token === "string" && token !== "") return token;
  throw invalid(`no service-account token for the audience ${audience}: the CSIDriver's tokenRequests must name it`);
}
