import type { types } from "@pulumi/kubernetes";

/** The security context of every container: the restricted Pod Security Standard, and a root that can't be written. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
} as const satisfies types.input.core.v1.SecurityContext;

/** The security context of every pod. Volumes belong to the group, so that containers share what one of them writes. */
export const restrictedPod = {
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  fsGroup: 1000,
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
} as const satisfies types.input.core.v1.PodSecurityContext;

/** Labels of a namespace that admits restricted pods only. */
export const restrictedNamespace = {
  "pod-security.kubernetes.io/enforce": "restricted",
  "pod-security.kubernetes.io/audit": "restricted",
  "pod-security.kubernetes.io/warn": "restricted",
} as const;
