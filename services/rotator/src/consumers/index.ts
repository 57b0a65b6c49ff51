export { type Consumer, Consumers, parseReports, type Process, stragglers, type Trust } from "./reports.ts";
