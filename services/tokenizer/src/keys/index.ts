export { type KeyStoreParts } from "./parts.ts";
export { type DataKeys, type LoadedKey, lockName, useLimit } from "./ring.ts";
export { holdDigestKey } from "./rows.ts";
export { KeyStore } from "./store.ts";
export { type DataKey, type KeyService, VaultTransit } from "./vault.ts";
