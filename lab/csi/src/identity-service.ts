import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { unary } from "./grpc.ts";

/** Name of the driver, which is upstream's, so that pods and classes are the same with either. */
export const driverName = "secrets-store.csi.k8s.io";

/** Version of the driver: the one in its package.json and its chart, as a test sees to. */
export const driverVersion = "0.1.0";

/** The CSI service Identity. The driver has no controller, so it declares no capability. */
export function identityService(): UntypedServiceImplementation {
  return {
    GetPluginInfo: unary(() => ({ name: driverName, vendorVersion: driverVersion, manifest: {} })),
    GetPluginCapabilities: unary(() => ({ capabilities: [] })),
    Probe: unary(() => ({ ready: { value: true } })),
  };
}
