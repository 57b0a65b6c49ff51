import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { unary } from "./grpc.ts";
import { driverName } from "./identity-service.ts";
import type { Empty, PluginInfo, RegistrationStatus } from "./messages.ts";

/**
 * What a kubelet asks when it finds the registration socket.
 *
 * @param endpoint the driver's socket as the kubelet, on the host, reaches it
 * @param registered called with the kubelet's verdict: undefined, or why it refused
 */
export function registrationService(
  endpoint: string,
  registered: (refusal: string | undefined) => void,
): UntypedServiceImplementation {
  return {
    GetInfo: unary((): PluginInfo => ({
      type: "CSIPlugin",
      name: driverName,
      endpoint,
      supportedVersions: ["1.0.0"],
    })),
    NotifyRegistrationStatus: unary(({ pluginRegistered, error }: RegistrationStatus): Empty => {
      registered(pluginRegistered ? undefined : error);
      return {};
    }),
  };
}
