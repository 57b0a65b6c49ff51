import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Document, parseDocument } from "yaml";
import type { Json, JsonMap } from "../property/wire.ts";
import { newCrypter, openCrypter, SecretsError, type Crypter } from "../secrets/passphrase.ts";
import { replaceFile } from "../state/durable-file.ts";
import { asMap, parseYaml, ProjectError, type ConfigDeclaration, type Project } from "./project.ts";

/** A setting of a stack as its file has it. */
export interface RawSetting {
  /** `<namespace>:<name>`. */
  readonly key: string;
  /** May hold `{secure: <ciphertext>}` at any depth. */
  readonly value: Json;
}

/** `Pulumi.<stack>.yaml`. */
export interface StackFile {
  readonly path: string;
  readonly encryptionSalt: string | undefined;
  readonly settings: readonly RawSetting[];
}

/** A setting as the program gets it. */
export interface Setting {
  readonly key: string;
  /** The text itself; lists and maps as JSON. */
  readonly value: string;
  readonly secret: boolean;
}

/**
 * Reads `Pulumi.<stack>.yaml`, or the file that is named instead; a stack without one has no settings.
 *
 * @throws {ProjectError} where it is malformed; {@link SecretsError} where it names a secrets provider other than
 *   the passphrase
 */
export async function readStackFile(project: Project, stack: string, named?: string): Promise<StackFile> {
  const path = named ?? join(project.stackConfigFolder, `Pulumi.${stack}.yaml`);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing && named === undefined) return "";
    if (missing)
      throw new ProjectError("bad-stack-settings", `${path}: there is no such file; expected the stack's settings`);
    throw error;
  });
  const file = asMap(parseYaml(text, path, "bad-stack-settings") ?? {}, path, "bad-stack-settings");
  const provider = file["secretsprovider"];
  if (
    file["encryptedkey"] !== undefined ||
    (provider !== undefined && provider !== "passphrase" && provider !== "default")
  ) {
    throw new SecretsError(
      "unsupported-secrets-provider",
      `${path}: secrets provider ${String(provider)} needs the Pulumi CLI; the embedded engine has the passphrase only`,
    );
  }
  if (file["environment"] !== undefined) {
    throw new ProjectError("unsupported-project", `${path}: environment (Pulumi ESC) needs the Pulumi CLI`);
  }
  const salt = file["encryptionsalt"];
  return {
    path,
    encryptionSalt: typeof salt === "string" && salt !== "" ? salt : undefined,
    settings: Object.entries(asMap(file["config"] ?? {}, path, "bad-stack-settings")).map(([key, value]) => ({
      key: settingKey(key, project.name, path),
      value: value as Json,
    })),
  };
}

function settingKey(key: string, project: string, path: string): string {
  const parts = key.split(":");
  if (parts.length === 1) return `${project}:${key}`;
  if (parts.length === 2) return key;
  if (parts.length === 3 && parts[1] === "config") return `${parts[0] ?? ""}:${parts[2] ?? ""}`;
  throw new ProjectError("bad-stack-settings", `${path}: config key "${key}" must be <namespace>:<name>`);
}

/** Opens the stack's crypter by its salt, or makes one and writes the salt into the stack's file. */
export async function stackCrypter(file: StackFile, passphrase: string): Promise<Crypter> {
  if (file.encryptionSalt !== undefined) return openCrypter(passphrase, file.encryptionSalt);
  const crypter = await newCrypter(passphrase);
  const text = await readFile(file.path, "utf8").catch(() => "");
  const document = text.trim() === "" ? new Document({}) : parseDocument(text);
  document.set("encryptionsalt", crypter.state["salt"]);
  await replaceFile(file.path, document.toString());
  return crypter;
}

/**
 * The settings of a stack with the project's defaults, decrypted.
 *
 * @param crypter undefined where nothing was encrypted
 * @throws {ProjectError} naming every setting that is missing or of the wrong type
 */
export function resolveSettings(
  declarations: readonly ConfigDeclaration[],
  file: StackFile,
  crypter: Crypter | undefined,
): readonly Setting[] {
  const settings = new Map(file.settings.map((raw) => [raw.key, decrypt(raw, crypter, file.path)]));
  const problems: string[] = [];
  for (const declared of declarations) {
    const set = settings.get(declared.key);
    if (set === undefined) {
      if (declared.default === undefined) problems.push(`${declared.key} is missing`);
      else settings.set(declared.key, { key: declared.key, value: asText(declared.default as Json), secret: false });
    } else if (declared.type !== undefined && !hasType(set, declared.type, file)) {
      problems.push(`${declared.key} must be of type ${declared.type}`);
    } else if (declared.secret && !set.secret) problems.push(`${declared.key} must be encrypted ({secure: …})`);
  }
  if (problems.length > 0) {
    throw new ProjectError(
      "bad-stack-settings",
      `${file.path}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
  }
  return [...settings.values()];
}

function hasType(setting: Setting, type: string, file: StackFile): boolean {
  const raw = file.settings.find((candidate) => candidate.key === setting.key)?.value;
  const plain = isSecure(raw) ? setting.value : raw;
  switch (type) {
    case "string":
      return typeof plain !== "object";
    case "integer":
      return /^-?\d+$/.test(setting.value);
    case "number":
      return setting.value !== "" && Number.isFinite(Number(setting.value));
    case "boolean":
      return setting.value === "true" || setting.value === "false";
    case "array":
      return Array.isArray(isSecure(raw) ? JSON.parse(setting.value) : raw);
    case "object":
      return setting.value.startsWith("{");
    default:
      return true;
  }
}

function isSecure(value: Json | undefined): value is { secure: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length === 1 &&
    typeof value["secure"] === "string"
  );
}

function decrypt(raw: RawSetting, crypter: Crypter | undefined, path: string): Setting {
  let secret = false;
  const open = (value: Json): Json => {
    if (isSecure(value)) {
      secret = true;
      if (crypter === undefined) {
        throw new SecretsError("no-passphrase", `${path}: ${raw.key} is encrypted, but the file has no encryptionsalt`);
      }
      return crypter.decrypt(value.secure);
    }
    if (Array.isArray(value)) return value.map(open);
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, open(element)]));
    }
    return value;
  };
  const value = asText(open(raw.value));
  return { key: raw.key, value, secret };
}

function asText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The settings as an update's history keeps them: encrypted values stay encrypted. */
export function historySettings(file: StackFile): JsonMap {
  return Object.fromEntries(
    file.settings.map(({ key, value }) => [
      key,
      isSecure(value)
        ? { value: value.secure, secret: true }
        : {
            value: asText(value),
            secret: false,
            ...(typeof value === "object" && value !== null ? { objectValue: true } : {}),
          },
    ]),
  );
}

/** True where the stack's file has an encrypted value. */
export function hasSecrets(file: StackFile): boolean {
  return JSON.stringify(file.settings.map((setting) => setting.value)).includes('"secure":');
}
