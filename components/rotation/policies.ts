import { authorityInterval } from "../../stacks/rotation-schema";
import type { Settings, TenantSettings } from "../../stacks/settings";
import { type ClassName, classNames } from "../secrets/catalog";
import type { RotationPolicy } from "../secrets/plan";

/** Why accounts of a server that isn't the platform's are left alone: no member there can be asked what it has applied. */
const heldOutside =
  "accounts of a database outside the cluster are changed by who runs it: see docs/rotation.md, “A database outside the cluster”";

/** Policies by class. */
export type RotationPolicies = Readonly<Partial<Record<ClassName, RotationPolicy>>> &
  Readonly<Record<string, RotationPolicy>>;

/** The policies of the classes, with what the settings ask for. */
export function rotationPolicies(settings: Settings, tenant: TenantSettings): RotationPolicies {
  const { rotation, database } = settings;
  const { bump } = rotation.classes;
  const byClass: Readonly<Record<ClassName, Omit<RotationPolicy, "request" | "held">>> = {
    ...rotation.classes,
    bump: { ...bump, intervalDays: bump.intervalDays ?? authorityInterval(settings.vault.pki.intermediateDays) },
  };
  // A tenant without an egress proxy has no authority for it.
  const classes = classNames.filter((name) => name !== "bump" || tenant.spec.proxies.outbound.enabled);
  return Object.fromEntries(
    classes.map((name) => [
      name,
      {
        ...byClass[name],
        request: rotation.requests[`${tenant.name}/${name}`],
        ...(name === "database" && database.kind !== "group" ? { held: heldOutside } : {}),
      },
    ]),
  );
}
