import { z } from "zod";
import { RotatorError } from "../core/index.ts";
import type { Vault } from "../vault/index.ts";

const facts = z.object({
  latest_version: z.number().int().min(1),
  min_decryption_version: z.number().int().min(0),
  min_encryption_version: z.number().int().min(0),
});

/** Which versions of the key there are, and what each may do. */
export interface TransitFacts {
  readonly latest: number;
  /** The lowest that opens. */
  readonly opens: number;
  /** The lowest that wraps. */
  readonly wraps: number;
}

/** The key-encryption key in Vault's Transit: its versions and their limits. What it wraps is never seen here. */
export class TransitKey {
  readonly #vault: Vault;
  readonly #path: string;

  constructor(vault: Vault, { mount, key }: { readonly mount: string; readonly key: string }) {
    this.#vault = vault;
    this.#path = `${mount}/keys/${key}`;
  }

  /** @throws RotatorError `STORE` */
  async facts(): Promise<TransitFacts> {
    const read = facts.safeParse(await this.#vault.ask("GET", this.#path));
    if (!read.success) throw new RotatorError("STORE", `${this.#path}: expected the versions of a key`);
    const { latest_version: latest, min_decryption_version: opens, min_encryption_version: wraps } = read.data;
    // Vault writes 0 for a lowest wrapping version that nobody set, and wraps by the newest then.
    return { latest, opens: Math.max(1, opens), wraps: Math.max(1, wraps) };
  }

  /** Makes the next version. @throws RotatorError `STORE` */
  async rotate(): Promise<void> {
    await this.#vault.ask("POST", `${this.#path}/rotate`);
  }

  /** Sets the lowest versions that open and wrap; nothing is lost by it. @throws RotatorError `STORE` */
  async limit({ opens, wraps }: Pick<TransitFacts, "opens" | "wraps">): Promise<void> {
    const limits = { min_decryption_version: opens, min_encryption_version: wraps };
    await this.#vault.ask("POST", `${this.#path}/config`, limits);
  }
}
