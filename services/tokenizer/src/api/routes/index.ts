export { apiKeyOperations, userOperations } from "./accounts.ts";
export { authOperations } from "./auth.ts";
export { cardOperations } from "./cards.ts";
export { importOperations } from "./import.ts";
export { keyOperations } from "./keys.ts";
export { monitoringOperations } from "./monitoring.ts";
export { type RefreshSecrets, secretOperations } from "./secrets.ts";
export { systemOperations } from "./system.ts";
export { tokenOperations } from "./tokens.ts";
