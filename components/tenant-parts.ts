import type { Settings, TenantSettings } from "../stacks/settings";
import { type Part, parts } from "./parts";

/** The parts of a tenant, in their fixed order. */
export function partsOf(settings: Settings, { spec }: TenantSettings): Part[] {
  const present: Readonly<Record<Part, boolean>> = {
    tokenizer: true,
    database: settings.database.kind === "group",
    inbound: spec.proxies.inbound.enabled,
    outbound: spec.proxies.outbound.enabled,
    dashboard: spec.dashboard.enabled,
    backup: spec.highAvailability.database.backups.enabled,
    rotator: true,
    ledgers: settings.monitoring.mode !== "none" && spec.monitoring.prometheus.serviceMonitor,
  };
  return parts.filter((part) => present[part]);
}
