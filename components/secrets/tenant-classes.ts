import * as pulumi from "@pulumi/pulumi";
import type { TenantSettings } from "../../stacks/settings";
import type { DatabaseAddress } from "../database/database";
import { type ClassName, classNames, secretGroups } from "./catalog";
import { refuseLost } from "./lost-state";
import type { RotationPlan } from "./plan";
import type { TenantLedgers } from "./read-ledgers";
import { SecretClass } from "./secret-class";

/** What the classes of a tenant are made of. */
export interface TenantClassesArgs {
  readonly tenant: TenantSettings;
  /** What this update does with each class. */
  readonly rotation: RotationPlan;
  /** The tenant's ledgers, read at the start of the update. */
  readonly ledgers: TenantLedgers;
  /** KV mount. */
  readonly mount: pulumi.Input<string>;
  /** Where the database is; absent while nobody knows. */
  readonly database: pulumi.Input<DatabaseAddress> | undefined;
  /** The time of the update. */
  readonly now: Date;
}

/**
 * The classes of a tenant's generated secrets. What has to wait is warned of.
 * @returns the classes by name, without those that have no policy any more
 * @throws LostStateError, from the program's end, where the state doesn't hold a live value
 */
export function tenantClasses(
  prefix: string,
  args: TenantClassesArgs,
  opts: pulumi.ComponentResourceOptions & { readonly parent: pulumi.Resource },
): ReadonlyMap<ClassName, SecretClass> {
  const { tenant, rotation, ledgers, mount, database, now } = args;
  const made = new Map<ClassName, SecretClass>();
  for (const className of classNames) {
    const plan = rotation[className];
    if (plan === undefined || plan.action === "retire") continue;
    if (plan.deferred !== null) void pulumi.log.warn(`${tenant.name}/${className}: ${plan.deferred}`, opts.parent);
    const groups = secretGroups.filter((group) => group.className === className);
    const ledger = ledgers[className];
    made.set(
      className,
      new SecretClass(
        `${prefix}-${className}`,
        { tenant: tenant.name, className, groups, plan, ledger, mount, database, now },
        opts,
      ),
    );
  }
  const values = [...made.values()].flatMap(({ groups }) => [...groups.values()].map(({ lost }) => lost));
  // An output that fails ends the program, as does every other one.
  pulumi.output(refuseLost(tenant.name, values));
  return made;
}
