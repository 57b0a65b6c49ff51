/** The versions that the lab is made of, as its status shows them. The modules' go.mod files pin the same. */
export const versions = {
  kubernetes: "v1.35.4",
  etcd: "v3.6.5",
  vault: "v1.21.0",
  coredns: "v1.14.7",
  localPathProvisioner: "v0.0.30",
  helm: "v3.22.0",
  metricsServer: "v0.9.0",
  prometheusOperator: "v0.85.0",
} as const;
