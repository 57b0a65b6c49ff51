export { type Calls, ExporterServer, type Page } from "./server.ts";
