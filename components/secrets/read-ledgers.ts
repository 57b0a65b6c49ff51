import { type InvokeOptions, runtime } from "@pulumi/pulumi";
import { getSecretV2 } from "@pulumi/vault/kv";
import { ledgerPath, type RotationLedger } from "@tokenshield/rotation";
import { type ClassName, classNames } from "./catalog";
import { LedgerError, parseLedger } from "./ledger";

/** The ledgers of a tenant by class; a class without one is new. */
export type TenantLedgers = Readonly<Partial<Record<ClassName, RotationLedger>>>;

/** What Vault's provider says of a secret that was never written. Any other failure stops the update. */
export const neverWritten = /no secret found at/;

/**
 * Reads the ledgers of all tenants, at the start of an update.
 * @param mount KV mount
 * @param tenants their names
 * @param options the provider of Vault
 * @returns the ledgers by tenant
 * @throws LedgerError where one can't be trusted; what the provider says where Vault can't be read
 */
export async function readLedgers(
  mount: string,
  tenants: readonly string[],
  options: InvokeOptions,
): Promise<ReadonlyMap<string, TenantLedgers>> {
  const entries = tenants.map(async (tenant) => {
    const ledgers = await Promise.all(
      classNames.map(async (name) => [name, await readLedger(mount, ledgerPath(tenant, name), options)] as const),
    );
    return [tenant, Object.fromEntries(ledgers.filter(([, ledger]) => ledger !== undefined))] as const;
  });
  return new Map(await Promise.all(entries));
}

async function readLedger(mount: string, name: string, options: InvokeOptions): Promise<RotationLedger | undefined> {
  let dataJson: string | undefined;
  try {
    // Typed as always there, but unknown to a preview that is made without Vault.
    ({ dataJson } = (await getSecretV2({ mount, name }, options)) as { dataJson?: string });
  } catch (error) {
    if (error instanceof Error && neverWritten.test(error.message)) return undefined;
    throw error;
  }
  if (dataJson === undefined) {
    // Such a preview plans a new stack. An update never gets here: it would generate over live credentials.
    if (runtime.isDryRun()) return undefined;
    throw new LedgerError(`${mount}/${name}`, "an answer of Vault", "none");
  }
  return parseLedger(dataJson, `${mount}/${name}`);
}
