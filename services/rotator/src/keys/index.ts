export { askedNow, EncryptionKeys, type EncryptionKeysOptions, type KeyKind } from "./encryption-keys.ts";
export { KeyApi, type KeyFacts, type KeyRotation } from "./key-api.ts";
export { TransitKey, type TransitFacts } from "./transit-key.ts";
