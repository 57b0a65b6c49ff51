/** The add-ons that the platform builds on, in the order in which they are installed. */
export const addonNames = [
  "metricsServer",
  "prometheusOperator",
  "secretsStoreCsiDriver",
  "vaultCsiProvider",
  "certManager",
] as const;

/** One of `addonNames`. */
export type AddonName = (typeof addonNames)[number];

/** Helm values that the platform needs, by add-on. No value is a secret. */
export const addonValues: Readonly<Record<AddonName, Readonly<Record<string, unknown>>>> = {
  metricsServer: { replicas: 1 },
  prometheusOperator: {},
  secretsStoreCsiDriver: {
    // No copy of a secret in etcd, and tokens for Vault only.
    syncSecret: { enabled: false },
    enableSecretRotation: true,
    rotationPollInterval: "1m",
    tokenRequests: [{ audience: "vault" }],
    windows: { enabled: false },
  },
  vaultCsiProvider: { server: { enabled: false }, injector: { enabled: false }, csi: { enabled: true } },
  certManager: { crds: { enabled: true, keep: true } },
};
