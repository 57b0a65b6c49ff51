export { type Binding, keyLength, open, panDigest, seal, secretKey, slotDigest, slotKey } from "./cards.ts";
export { secureBytes } from "./random.ts";
