import * as pulumi from "@pulumi/pulumi";
import { SecretV2 } from "@pulumi/vault/kv";
import { firstLedger, ledgerPath, ledgerText, type RotationLedger } from "@tokenshield/rotation";
import { badName, refuse } from "../checks";
import type { DatabaseAddress } from "../database/database";
import type { ClassName, SecretGroup } from "./catalog";
import type { ClassPlan } from "./plan";
import { isFirst, RotatedSecret } from "./rotated-secret";

/** Arguments of `SecretClass`. */
export interface SecretClassArgs {
  /** Name of the tenant. A change replaces everything. */
  readonly tenant: string;
  /** The class. */
  readonly className: ClassName;
  /** Its groups. Plain, as they decide which resources there are. */
  readonly groups: readonly SecretGroup[];
  /** What this update does with the class. */
  readonly plan: ClassPlan;
  /** The ledger of the class; absent before its first generation. */
  readonly ledger: RotationLedger | undefined;
  /** KV mount. */
  readonly mount: pulumi.Input<string>;
  /** Where the database is; absent while nobody knows. */
  readonly database: pulumi.Input<DatabaseAddress> | undefined;
  /** The time of the update, for the first ledger. */
  readonly now: Date;
}

/** What a stack tells of a class: where its rotation stands. No secret. */
export interface RotationState {
  /** The phase of the ledger. */
  readonly phase: string;
  /** The generation that consumers use. */
  readonly live: number;
  /** The generation that is on its way, or the live one. */
  readonly generation: number;
  /** When the class is due by its policy (UTC); empty where it isn't automatic. */
  readonly due: string;
  /** What was asked for or due, but has to wait, and why; empty where nothing waits. */
  readonly deferred: string;
}

/** One rotation class of a tenant: its groups, and the first entry of its ledger. */
export class SecretClass extends pulumi.ComponentResource {
  /** The groups by name. */
  readonly groups: ReadonlyMap<string, RotatedSecret>;
  /** Where its rotation stands. */
  readonly state: RotationState;
  /** What this update writes; whoever mounts the values waits for it. */
  readonly written: readonly SecretV2[];

  constructor(name: string, args: SecretClassArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:secrets:SecretClass", name, {}, opts);
    const { tenant, className, groups, plan, ledger, mount, database } = args;
    refuse(`SecretClass ${name}`, [
      ...badName("tenant", tenant, 30),
      ...groups.flatMap((group, index) =>
        group.className === className
          ? []
          : [{ propertyPath: `groups[${index}]`, reason: `expected class ${className}, given ${group.className}` }],
      ),
    ]);
    this.groups = new Map(
      groups.map((group) => [
        group.name,
        new RotatedSecret(
          `${name}-${shortName(group)}`,
          { tenant, group, plan, ledger, mount, database },
          { parent: this },
        ),
      ]),
    );
    const documents = [...this.groups.values()].flatMap(({ written }) => (written === undefined ? [] : [written]));
    // The first ledger follows the values: where it exists, they do.
    const first =
      groups.length > 0 && isFirst(plan, ledger) ? [this.writeLedger(`${name}-ledger`, args, documents)] : [];
    this.written = [...documents, ...first];
    this.state = {
      // What the first update publishes, nobody rotates: its ledger is closed from the start.
      phase: ledger?.phase ?? "closed",
      live: plan.live ?? plan.generation,
      generation: plan.generation,
      due: plan.due?.toISOString() ?? "",
      deferred: plan.deferred ?? "",
    };
    this.registerOutputs({ state: this.state });
  }

  private writeLedger(name: string, args: SecretClassArgs, documents: readonly SecretV2[]): SecretV2 {
    const digests = pulumi.all(
      Object.fromEntries(
        [...this.groups].flatMap(([group, { digest }]) => (digest === undefined ? [] : [[group, digest]])),
      ),
    );
    const text = digests.apply((byGroup) => ledgerText(firstLedger(byGroup, args.now)));
    return new SecretV2(
      name,
      {
        mount: args.mount,
        name: ledgerPath(args.tenant, args.className),
        dataJsonWo: text,
        dataJsonWoVersion: 1,
        options: { cas: "0" },
      },
      {
        parent: this,
        dependsOn: [...documents],
        retainOnDelete: true,
        ignoreChanges: ["dataJsonWo", "dataJsonWoVersion"],
      },
    );
  }
}

/** The name of a group without that of its class, which its parent's name ends with. */
function shortName({ name, className }: SecretGroup): string {
  return name === className ? "key" : name.replace(`${className}_`, "");
}
