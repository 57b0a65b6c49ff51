import { ledgerPath, ledgerText, parseLedger, type RotationLedger } from "@tokenshield/rotation";
import type { Ledgers, StoredLedger } from "../core/index.ts";
import type { Vault } from "./client.ts";

/** The ledgers of one tenant, beside its values; every version of one is an entry of its history. */
export class VaultLedgers implements Ledgers {
  readonly #vault: Vault;
  readonly #mount: string;
  readonly #tenant: string;

  constructor(vault: Vault, mount: string, tenant: string) {
    this.#vault = vault;
    this.#mount = mount;
    this.#tenant = tenant;
  }

  async read(className: string): Promise<StoredLedger | undefined> {
    const path = ledgerPath(this.#tenant, className);
    const found = await this.#vault.read(this.#mount, path);
    if (found === undefined) return undefined;
    // A deleted one is told apart from one that never was: it can be brought back.
    const text = Object.keys(found.data).length === 0 ? "null" : JSON.stringify(found.data);
    return { ledger: parseLedger(text, `${this.#mount}/${path}`), version: found.version };
  }

  write(className: string, ledger: RotationLedger, version: number): Promise<number> {
    const data = JSON.parse(ledgerText(ledger)) as Record<string, unknown>;
    return this.#vault.write(this.#mount, ledgerPath(this.#tenant, className), data, version);
  }
}
