export { SettingsError } from "./errors.ts";
export { isLoopback } from "./fields.ts";
export { readSettings, type Settings } from "./settings.ts";
