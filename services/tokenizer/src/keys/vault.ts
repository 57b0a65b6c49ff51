import { KeysUnavailable } from "../core/errors.ts";
import type { VaultSession } from "../vault/index.ts";

/** A data key: in clear for memory only, and wrapped for the database. */
export interface DataKey {
  readonly key: Buffer;
  readonly wrapped: string;
  readonly kekVersion: number;
}

/** The key service: makes data keys, opens wrapped ones, wraps them under the newest version of the key-encryption key. */
export interface KeyService {
  create(): Promise<DataKey>;
  unwrap(wrapped: string): Promise<Buffer>;
  /** The same data key under the newest version of the key-encryption key; nothing is opened on this side. */
  rewrap(wrapped: string): Promise<{ readonly wrapped: string; readonly kekVersion: number }>;
  close(): Promise<void>;
}

/** The version of the key-encryption key in `vault:v7:…`. */
export function wrappedVersion(wrapped: string): number {
  const version = /^vault:v([1-9]\d{0,9}):/.exec(wrapped)?.[1];
  if (version === undefined) throw new KeysUnavailable("the key service gave a ciphertext of another form");
  return Number(version);
}

/** Vault's Transit engine. All failures are KeysUnavailable; their messages hold status and step, never a body or a token. */
export class VaultTransit implements KeyService {
  readonly #vault: VaultSession;
  readonly #mount: string;
  readonly #key: string;

  /**
   * @param mount path of the Transit engine
   * @param key name of the key-encryption key
   */
  constructor(vault: VaultSession, mount: string, key: string) {
    this.#vault = vault;
    this.#mount = mount;
    this.#key = encodeURIComponent(key);
  }

  async create(): Promise<DataKey> {
    const data = await this.#transit("datakey/plaintext", { bits: 256 });
    const key = Buffer.from(field(data, "plaintext"), "base64");
    const wrapped = field(data, "ciphertext");
    if (key.length !== 32) throw new KeysUnavailable("the key service gave a data key of another length");
    return { key, wrapped, kekVersion: wrappedVersion(wrapped) };
  }

  async unwrap(wrapped: string): Promise<Buffer> {
    const key = Buffer.from(field(await this.#transit("decrypt", { ciphertext: wrapped }), "plaintext"), "base64");
    if (key.length !== 32) throw new KeysUnavailable("a wrapped data key has another length");
    return key;
  }

  async rewrap(wrapped: string): Promise<{ wrapped: string; kekVersion: number }> {
    const ciphertext = field(await this.#transit("rewrap", { ciphertext: wrapped }), "ciphertext");
    return { wrapped: ciphertext, kekVersion: wrappedVersion(ciphertext) };
  }

  /** Closes the session with Vault. */
  async close(): Promise<void> {
    await this.#vault.close();
  }

  #transit(operation: string, body: object): Promise<object> {
    return this.#vault.ask(operation, `${this.#mount}/${operation}/${this.#key}`, body);
  }
}

function field(data: object, name: string): string {
  const value = (data as Record<string, unknown>)[name];
  if (typeof value !== "string") throw new KeysUnavailable(`the key service's answer has no ${name}`);
  return value;
}
