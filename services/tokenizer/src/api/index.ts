export { type Api, type ApiParts, makeApi } from "./api.ts";
export { operationIds } from "./operation-ids.ts";
export type { ListenerTls } from "./server.ts";
