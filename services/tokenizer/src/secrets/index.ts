export { type GroupNow, ReadAhead, type ReadAheadParts, type ReadGroup } from "./read-ahead.ts";
export {
  criticalFiles,
  initializeSecretVolumeWatcher,
  type SecretEvents,
  type SecretMeters,
  SecretVolume,
  type SecretVolumeOptions,
} from "./volume.ts";
