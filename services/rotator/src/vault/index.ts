export { type Login, Vault, type VaultOptions } from "./client.ts";
export { VaultLedgers } from "./ledgers.ts";
export { type Group, type Values, VaultValues } from "./values.ts";
