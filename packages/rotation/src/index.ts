export {
  authorityName,
  authorityNumber,
  backdatedSeconds,
  issuerGeneration,
  issuerName,
  rootParameters,
  type RootParameters,
} from "./authority.ts";
export { keyDigest, valueDigest } from "./digest.ts";
export {
  authorityGroup,
  besideSeries,
  type GroupFiles,
  type InUse,
  inUseLabels,
  inUseOf,
  inUseSeries,
  keyGroups,
} from "./in-use.ts";
export {
  after,
  type Edge,
  edges,
  firstGeneration,
  firstLedger,
  type Generation,
  LedgerFault,
  ledgerFormat,
  ledgerText,
  type LedgerUpgrade,
  ledgerUpgrades,
  parseLedger,
  type Phase,
  phases,
  type RotationLedger,
} from "./ledger.ts";
export { groupPath, ledgerPath, previousSuffix, stagedPath } from "./paths.ts";
export { sortedJson } from "./sorted-json.ts";
