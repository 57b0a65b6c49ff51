export { type AccountGroup, DatabaseAccounts, type DatabaseOptions } from "./accounts.ts";
