export { SharedKeys, type SharedKeysOptions } from "./keys.ts";
