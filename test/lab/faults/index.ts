import { memberHangs, mostHang } from "./database.ts";
import type { Fault } from "./fault.ts";
import { agentHangs, doorHangs, tokenizersGone } from "./parts.ts";
import { loginsRefused, trafficRefused, unknownTokens } from "./traffic.ts";
import { auditFails, sealedForLong, vaultSealed } from "./vault.ts";
import { alertmanagerGone, driverGone, ruleBroken } from "./watchers.ts";

export { type Drill, drill, type Fault, isSeen, type Seen, whole } from "./fault.ts";
export { doorHangs } from "./parts.ts";
export { prepareTraffic } from "./traffic.ts";

/**
 * Every fault. Lanes go on beside each other, as their faults don't disturb each other's alerts; a lane has stages, each
 * of which follows once the faults of the one before are repaired.
 */
export const lanes: Readonly<Record<string, readonly (readonly Fault[])[]>> = {
  tenant: [[unknownTokens, loginsRefused, trafficRefused], [mostHang], [memberHangs], [tokenizersGone]],
  vault: [[auditFails], [vaultSealed], [driverGone]],
  watchers: [[ruleBroken], [alertmanagerGone]],
  proxies: [[doorHangs]],
  certificates: [[agentHangs]],
  mounts: [[sealedForLong]],
};
