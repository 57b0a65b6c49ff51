export {
  criticalFiles,
  initializeSecretVolumeWatcher,
  type SecretEvents,
  type SecretMeters,
  SecretVolume,
  type SecretVolumeOptions,
} from "./volume.ts";
