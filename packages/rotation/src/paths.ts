/** Where values and ledgers lie, below a stack's KV mount. */

/** The path of a tenant's values below the KV mount. */
export function groupPath(tenant: string, group: string): string {
  return `tenants/${tenant}/${group}`;
}

/** The path of a class's ledger below the KV mount. */
export function ledgerPath(tenant: string, className: string): string {
  return groupPath(tenant, `rotation/${className}`);
}

/** The path where a group's next value waits for the rotator. */
export function stagedPath(tenant: string, group: string): string {
  return groupPath(tenant, `${group}-staged`);
}

/** The field, and with a hyphen the suffix of the file, of the value before; empty outside a grace. */
export const previousSuffix = "previous";
