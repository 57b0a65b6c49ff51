export { Service, type ServicePorts } from "./service.ts";
export { accountSettings, MissingSecret } from "./parts.ts";
