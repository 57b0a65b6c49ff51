export {
  type Consumer,
  Consumers,
  inUseSeries,
  parseReports,
  type Process,
  type Report,
  stragglers,
  type Trust,
} from "./reports.ts";
