export { ExporterServer, type Page } from "./server.ts";
