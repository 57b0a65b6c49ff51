import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** Encrypts and decrypts the secrets of one stack. */
export interface Crypter {
  /** The name of the kind of provider, as checkpoints name it. */
  readonly type: string;
  /** What a checkpoint keeps so that another engine can make the same crypter. */
  readonly state: Readonly<Record<string, string>>;
  encrypt(plaintext: string): string;
  /** @throws {SecretsError} where the text isn't this crypter's */
  decrypt(ciphertext: string): string;
}

/** A stack's secrets can't be opened. */
export class SecretsError extends Error {
  readonly code: "wrong-passphrase" | "no-passphrase" | "damaged-secret" | "unsupported-secrets-provider";
  constructor(code: SecretsError["code"], message: string) {
    super(message);
    this.name = "SecretsError";
    this.code = code;
  }
}

const keyBytes = 32;
const rounds = 1_000_000;
const checkWord = "pulumi";
const derive = promisify(pbkdf2);

/**
 * The passphrase: `PULUMI_CONFIG_PASSPHRASE`, else the trimmed content of the file that
 * `PULUMI_CONFIG_PASSPHRASE_FILE` names, as in the CLI.
 *
 * @throws {SecretsError} where neither is set
 */
export async function readPassphrase(environment: NodeJS.ProcessEnv): Promise<string> {
  if (environment["PULUMI_CONFIG_PASSPHRASE"] !== undefined) return environment["PULUMI_CONFIG_PASSPHRASE"];
  const file = environment["PULUMI_CONFIG_PASSPHRASE_FILE"];
  if (file !== undefined && file !== "") return (await readFile(file, "utf8")).trim();
  throw new SecretsError(
    "no-passphrase",
    "the stack's secrets are encrypted with a passphrase: set PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it, " +
      "or PULUMI_CONFIG_PASSPHRASE to the passphrase itself",
  );
}

/**
 * Opens the crypter that a salt describes: `v1:<salt>:v1:<nonce>:<AES-256-GCM of a known word>`, its key by
 * PBKDF2-SHA256 with 1,000,000 rounds (`pulumi` `pkg/secrets/passphrase`).
 *
 * @throws {SecretsError} where the passphrase is wrong or the salt is damaged
 */
export async function openCrypter(passphrase: string, salt: string): Promise<Crypter> {
  const [version, encodedSalt, ...check] = salt.split(":");
  if (version !== "v1" || encodedSalt === undefined || check.length !== 3) {
    throw new SecretsError("damaged-secret", "encryptionsalt is damaged: expected v1:<salt>:v1:<nonce>:<ciphertext>");
  }
  const crypter = new PassphraseCrypter(await keyOf(passphrase, encodedSalt), salt);
  if (!crypter.opens(check.join(":"))) {
    throw new SecretsError(
      "wrong-passphrase",
      "incorrect passphrase: set PULUMI_CONFIG_PASSPHRASE (or PULUMI_CONFIG_PASSPHRASE_FILE) to the stack's own",
    );
  }
  return crypter;
}

let latest: { readonly passphrase: string; readonly salt: string; readonly key: Promise<Buffer> } | undefined;

/** Deriving a key takes a processor a fifth of a second; a process that runs several commands on a stack does it once. */
function keyOf(passphrase: string, salt: string): Promise<Buffer> {
  if (latest?.passphrase === passphrase && latest.salt === salt) return latest.key;
  const key = derive(passphrase, Buffer.from(salt, "base64"), rounds, keyBytes, "sha256");
  latest = { passphrase, salt, key };
  return key;
}

/** Makes a crypter with a new salt. */
export async function newCrypter(passphrase: string): Promise<Crypter> {
  const salt = randomBytes(8);
  const key = await derive(passphrase, salt, rounds, keyBytes, "sha256");
  const check = seal(key, checkWord);
  return new PassphraseCrypter(key, `v1:${salt.toString("base64")}:${check}`);
}

function seal(key: Buffer, plaintext: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return `v1:${nonce.toString("base64")}:${sealed.toString("base64")}`;
}

class PassphraseCrypter implements Crypter {
  readonly type = "passphrase";
  readonly state: Readonly<Record<string, string>>;
  readonly #key: Buffer;

  constructor(key: Buffer, salt: string) {
    this.#key = key;
    this.state = { salt };
  }

  encrypt(plaintext: string): string {
    return seal(this.#key, plaintext);
  }

  decrypt(ciphertext: string): string {
    const [version, nonce, sealed, ...rest] = ciphertext.split(":");
    if (version !== "v1" || nonce === undefined || sealed === undefined || rest.length > 0) {
      throw new SecretsError("damaged-secret", "a secret in state is damaged: expected v1:<nonce>:<ciphertext>");
    }
    const bytes = Buffer.from(sealed, "base64");
    const decipher = createDecipheriv("aes-256-gcm", this.#key, Buffer.from(nonce, "base64"), { authTagLength: 16 });
    decipher.setAuthTag(bytes.subarray(-16));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString("utf8");
    } catch (error) {
      throw new SecretsError(
        "damaged-secret",
        `a secret can't be decrypted: it is damaged or belongs to another stack (${error instanceof Error ? error.message : "unknown"})`,
      );
    }
  }

  opens(check: string): boolean {
    try {
      return this.decrypt(check) === checkWord;
    } catch (error) {
      if (error instanceof SecretsError) return false;
      throw error;
    }
  }
}
