import { RandomPassword } from "@pulumi/random/randomPassword";
import * as pulumi from "@pulumi/pulumi";
import { SecretV2 } from "@pulumi/vault/kv";
import { type Generation, groupPath, type RotationLedger, stagedPath, valueDigest } from "@tokenshield/rotation";
import { badName, refuse } from "../checks";
import type { DatabaseAddress } from "../database/database";
import type { SecretGroup } from "./catalog";
import { isKnown, LostStateError, type LostValue } from "./lost-state";
import type { ClassPlan } from "./plan";
import { groupDocument } from "./values";

/** Arguments of `RotatedSecret`. */
export interface RotatedSecretArgs {
  /** Name of the tenant. A change replaces everything. */
  readonly tenant: string;
  /** What is generated. Plain, as it decides which resources there are. */
  readonly group: SecretGroup;
  /** What this update does with the group's class. */
  readonly plan: ClassPlan;
  /** The ledger of the class; absent before its first generation. */
  readonly ledger: RotationLedger | undefined;
  /** KV mount. */
  readonly mount: pulumi.Input<string>;
  /** Where the database is; absent while nobody knows. */
  readonly database: pulumi.Input<DatabaseAddress> | undefined;
}

/** A generated value by field; secret. */
type Values = pulumi.Output<Record<string, string>>;

/**
 * The generated values of one group. Each generation is a resource of its own, so a value changes only where the plan
 * says so. The first generation is published here, create-only, as nobody used one before it; every later one is
 * staged where only the rotator reads it, and the rotator publishes it.
 */
export class RotatedSecret extends pulumi.ComponentResource {
  /** The generation that consumers have after this update, or that is on its way. */
  readonly generation: Generation;
  /** The keyed digest of that generation's value, see `valueDigest`; undefined where the state doesn't hold the value. */
  readonly digest: pulumi.Output<string> | undefined;
  /** Path of the group below the KV mount. */
  readonly path: string;
  /** The secret that this update publishes, or the staged one; undefined where nothing is written. */
  readonly written: SecretV2 | undefined;
  /** In a preview: the live values that the update would generate anew, as the state doesn't have them. */
  readonly lost: Promise<readonly LostValue[]>;

  constructor(
    name: string,
    private readonly args: RotatedSecretArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:secrets:RotatedSecret", name, {}, opts);
    const { tenant, group, plan } = args;
    refuse(`RotatedSecret ${name}`, [
      ...badName("tenant", tenant, 30),
      ...(group.fields.some(({ value }) => value.kind === "generated")
        ? []
        : [{ propertyPath: "group.fields", reason: `expected a generated field, given none in ${group.name}` }]),
      ...(plan.origin === null || plan.declared.includes(plan.origin) || plan.action === "retire"
        ? []
        : [{ propertyPath: "plan.declared", reason: `expected generation ${plan.origin} among them` }]),
    ]);
    this.generation = plan.generation;
    this.path = groupPath(tenant, group.name);
    const generated = plan.declared.map((origin) => [origin, this.generate(name, origin)] as const);
    this.lost = this.findLost(generated);
    const known = new Map(generated.map(([origin, values]) => [origin, this.checked(origin, values)]));
    const values = plan.origin === null ? undefined : known.get(plan.origin);
    this.digest = values?.apply((fields) => valueDigest(tenant, group.name, fields));
    this.written = values === undefined ? undefined : this.write(name, values);
    // Whatever is written or not: the update ends well only where every value is the one that the ledger knows.
    const sound = pulumi.unsecret(pulumi.all([...known.values()])).apply(() => this.path);
    this.registerOutputs({ generation: this.generation, path: sound });
  }

  private generate(name: string, origin: Generation): Values {
    const fields = this.args.group.fields.flatMap(({ field, value }) =>
      value.kind === "generated" ? [{ field, length: value.length }] : [],
    );
    const values = fields.map(
      ({ field, length }) =>
        new RandomPassword(
          `${name}-${field.toLowerCase().replaceAll("_", "-")}-${origin}`,
          // None of the characters needs escaping anywhere. PCI DSS 8.3.6.
          { length, special: false, minLower: 4, minUpper: 4, minNumeric: 4 },
          { parent: this },
        ).result,
    );
    return pulumi.secret(
      pulumi.all(values).apply((texts) => Object.fromEntries(fields.map(({ field }, at) => [field, texts[at] ?? ""]))),
    );
  }

  /** Compares a value of the state with what the ledger says of it, so that nothing is built on a lost state. */
  private checked(origin: Generation, values: Values): Values {
    const { tenant, group } = this.args;
    const known = this.digestOf(origin);
    if (known === undefined) return values;
    return values.apply((fields) => {
      if (valueDigest(tenant, group.name, fields) === known) return fields;
      throw new LostStateError(tenant, [this.lostValue(origin)]);
    });
  }

  /** A preview has no value where there is none in the state; an update would have made one before it could compare. */
  private async findLost(generated: readonly (readonly [Generation, Values])[]): Promise<readonly LostValue[]> {
    if (!pulumi.runtime.isDryRun()) return [];
    const live = generated.filter(([origin]) => this.digestOf(origin) !== undefined);
    const found = await Promise.all(live.map(async ([origin, values]) => [origin, await isKnown(values)] as const));
    return found.flatMap(([origin, isThere]) => (isThere ? [] : [this.lostValue(origin)]));
  }

  private lostValue(generation: Generation): LostValue {
    const { className, name } = this.args.group;
    return { className, group: name, generation };
  }

  /** What the ledger knows of a generation's value; undefined where it knows nothing. */
  private digestOf(origin: Generation): string | undefined {
    const { ledger, group } = this.args;
    return [ledger, ledger?.previous].find((entry) => entry?.origin === origin)?.digests[group.name];
  }

  private write(name: string, values: Values): SecretV2 | undefined {
    const { group, mount, plan, ledger, database, tenant } = this.args;
    const document = pulumi
      .all([values, database])
      .apply(([fields, address]) => groupDocument(group, plan.generation, fields, address));
    const content = { mount, dataJsonWo: pulumi.secret(document), dataJsonWoVersion: plan.generation };
    if (isFirst(plan, ledger)) {
      return new SecretV2(
        name,
        // Create-only: Vault refuses the write where any version, a deleted one included, was there before.
        { ...content, name: this.path, options: { cas: "0" } },
        {
          parent: this,
          // From here on it is the rotator's; it is forgotten, not deleted, once a second generation was begun.
          retainOnDelete: true,
          ignoreChanges: ["dataJsonWo", "dataJsonWoVersion"],
        },
      );
    }
    if (plan.action !== "advance" && plan.action !== "resume") return undefined;
    return new SecretV2(
      `${name}-staged`,
      { ...content, name: stagedPath(tenant, group.name), deleteAllVersions: true },
      { parent: this },
    );
  }
}

/** Tells whether a class is at its first generation, so that its published values are still the program's. */
export function isFirst(plan: ClassPlan, ledger: RotationLedger | undefined): boolean {
  return plan.action === "create" || (plan.action === "keep" && ledger?.generation === 1);
}
