export { ledgerGauges } from "./gauges.ts";
export { ledgerServer } from "./serve.ts";
export { LedgerWatch, type Observation } from "./watch.ts";
