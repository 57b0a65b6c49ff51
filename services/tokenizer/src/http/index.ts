export { clientAddress, endToEnd, requestHeaders, revealKeyHeader } from "./headers.ts";
export { httpOperations, HttpPlane, type HttpPlaneOptions, type HttpPlaneParts } from "./plane.ts";
export { isRevealRoute, type RevealAuthority, type RevealRoute } from "./routes.ts";
