export { type Consumer, Consumers, parseReports, type Process, stragglers, type Trust, unlike } from "./reports.ts";
