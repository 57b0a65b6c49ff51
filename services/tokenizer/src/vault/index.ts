export { type VaultLogin, type VaultOptions, VaultSession } from "./session.ts";
