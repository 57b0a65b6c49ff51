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
export function rotationPolicies({ rotation, database }: Settings, { name: tenant }: TenantSettings): RotationPolicies {
  return Object.fromEntries(
    classNames.map((name) => [
      name,
      {
        ...rotation.classes[name],
        request: rotation.requests[`${tenant}/${name}`],
        ...(name === "database" && database.kind !== "group" ? { held: heldOutside } : {}),
      },
    ]),
  );
}
