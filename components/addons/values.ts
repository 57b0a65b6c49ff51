/** The add-ons that the platform builds on, in the order in which they are installed. */
export const addonNames = [
  "metricsServer",
  "prometheusOperator",
  "secretsStoreCsiDriver",
  "vaultCsiProvider",
  "awsCsiProvider",
  "certManager",
] as const;

/** One of `addonNames`. */
export type AddonName = (typeof addonNames)[number];

/** Helm values that the platform needs, by add-on. No value is a secret. */
export const addonValues: Readonly<Record<AddonName, Readonly<Record<string, unknown>>>> = {
  metricsServer: { replicas: 1 },
  prometheusOperator: {},
  secretsStoreCsiDriver: {
    enableSecretRotation: true,
    // The kubelet asks every 60 to 90 s, and at once where a pod is told of a new value: then it must not be too soon.
    rotationPollInterval: "5s",
    windows: { enabled: false },
  },
  vaultCsiProvider: { server: { enabled: false }, injector: { enabled: false }, csi: { enabled: true } },
  // The driver is an add-on of its own.
  awsCsiProvider: { "secrets-store-csi-driver": { install: false } },
  certManager: { crds: { enabled: true, keep: true } },
};

/** What tenants' application secrets ask of the driver. */
export interface DriverArgs {
  /** Whether any group is to be copied into a Kubernetes Secret. */
  readonly copies: "none" | "asked for";
  /** Audiences of the tokens that the driver gets of pods, beside Vault's. */
  readonly audiences: readonly string[];
}

/** The driver's values that depend on that: no copy of a secret in etcd unasked, and tokens for the stores only. */
export function driverValues({ copies, audiences }: DriverArgs): Readonly<Record<string, unknown>> {
  return {
    syncSecret: { enabled: copies === "asked for" },
    tokenRequests: ["vault", ...audiences].map((audience) => ({ audience })),
  };
}
