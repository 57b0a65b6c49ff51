import { type InvokeOptions, runtime } from "@pulumi/pulumi";
import { getSecretV2 } from "@pulumi/vault/kv";
import { groupPath } from "@tokenshield/rotation";
import { absentEntry, type EntryState } from "./application-state";
import { neverWritten } from "./read-ledgers";

/** What Vault tells of a tenant's groups, by group. */
export type TenantEntries = ReadonlyMap<string, EntryState>;

/**
 * Reads at the start of an update which of a tenant's application secrets are there and how old they are. Vault's
 * provider tells that only together with the values; they are dropped here and reach neither state nor outputs.
 * @param mount KV mount
 * @param tenant name of the tenant
 * @param groups names of its groups
 * @param options the provider of Vault
 * @throws what the provider says where Vault can't be read
 */
export async function readEntries(
  mount: string,
  tenant: string,
  groups: readonly string[],
  options: InvokeOptions,
): Promise<TenantEntries> {
  const entries = groups.map(
    async (group) => [group, await readEntry(mount, groupPath(tenant, group), options)] as const,
  );
  return new Map(await Promise.all(entries));
}

async function readEntry(mount: string, name: string, options: InvokeOptions): Promise<EntryState> {
  try {
    // Typed as always there, but unknown to a preview that is made without Vault.
    const { dataJson, version, createdTime } = (await getSecretV2({ mount, name }, options)) as Partial<
      Awaited<ReturnType<typeof getSecretV2>>
    >;
    if (dataJson === undefined && !runtime.isDryRun()) throw new Error(`Vault tells nothing of ${mount}/${name}`);
    if (dataJson === undefined) return absentEntry;
    const names = Object.keys(JSON.parse(dataJson) as object).sort();
    return { version: version === undefined ? "" : String(version), since: createdTime ?? "", names };
  } catch (error) {
    if (error instanceof Error && neverWritten.test(error.message)) return absentEntry;
    throw error;
  }
}
