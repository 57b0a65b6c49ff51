import { CustomResource } from "@pulumi/kubernetes/apiextensions";
import { ServiceAccount } from "@pulumi/kubernetes/core/v1";
import * as pulumi from "@pulumi/pulumi";
import type { ApplicationSecretGroup } from "../../stacks/application-secrets";
import { badName, refuse } from "../checks";
import { type LabelArgs, labelsOf } from "../parts";
import {
  applicationAccount,
  applicationMountPaths,
  awsObjects,
  classNameOf,
  copiesOf,
  deliveredBy,
  type Mount,
  mountOf,
  mountsOf,
  vaultObjects,
} from "./application-groups";
import { type ApplicationSecretState, type EntryState, type ReminderPolicy, stateOf } from "./application-state";
import { type VaultLoginArgs, vaultParameters } from "./secret-files";

/** Which store the driver reads, and how. */
export type ApplicationDelivery =
  | { readonly provider: "vault"; readonly login: VaultLoginArgs; readonly mount: pulumi.Input<string> }
  | {
      readonly provider: "aws";
      readonly region: string;
      readonly identity: "irsa" | "pod-identity";
      /** ARN of the role that reads. */
      readonly roleArn: pulumi.Input<string>;
    };

/** Arguments of `ApplicationSecrets`. */
export interface ApplicationSecretsArgs {
  /** Name of the environment. */
  readonly environment: string;
  /** Name of the tenant. */
  readonly tenant: string;
  /** Namespace of the application, which is there already: it isn't the platform's. A change replaces everything. */
  readonly namespace: string;
  /** The groups; at least one. Plain, as they decide which resources there are. */
  readonly groups: readonly ApplicationSecretGroup[];
  /** What the store tells of each group. */
  readonly entries: ReadonlyMap<string, pulumi.Input<EntryState>>;
  /** By which a group's values are due, by class. */
  readonly policies: Readonly<Record<ApplicationSecretGroup["class"], ReminderPolicy>>;
  readonly delivery: ApplicationDelivery;
  /** The time of the update. */
  readonly now: Date;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** A class that the application's pods mount, and where. */
export interface ApplicationMount {
  readonly mount: Mount;
  readonly providerClass: pulumi.Output<string>;
  readonly path: string;
}

/**
 * The secrets of a tenant's application, as its pods get them: an account, and the SecretProviderClasses that they
 * mount. The values are their owners', who write them into the store; nothing here generates, holds or writes one.
 */
export class ApplicationSecrets extends pulumi.ComponentResource {
  /** The account that the application's pods run under. */
  readonly account: pulumi.Output<string>;
  /** What they mount. */
  readonly mounts: readonly ApplicationMount[];
  /** Where each group stands. */
  readonly states: ReadonlyMap<string, pulumi.Output<ApplicationSecretState>>;

  constructor(
    private readonly prefix: string,
    private readonly args: ApplicationSecretsArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:secrets:ApplicationSecrets", prefix, {}, opts);
    const { tenant, namespace, groups } = args;
    refuse(`ApplicationSecrets ${prefix}`, [
      ...badName("tenant", tenant, 30),
      ...badName("namespace", namespace),
      ...(groups.length > 0 ? [] : [{ propertyPath: "groups", reason: "expected at least one group, given none" }]),
      ...groups.flatMap(({ group }) =>
        args.entries.has(group) ? [] : [{ propertyPath: "entries", reason: `expected what is known of ${group}` }],
      ),
    ]);
    const entries = pulumi.all(Object.fromEntries(args.entries)).apply((known) => new Map(Object.entries(known)));
    this.account = this.makeAccount();
    this.mounts = mountsOf(groups).map((mount) => ({
      mount,
      providerClass: this.makeClass(mount, entries),
      path: applicationMountPaths[mount],
    }));
    this.states = new Map(groups.map((group) => [group.group, this.stateOf(group)]));
    this.registerOutputs({ account: applicationAccount, classes: mountsOf(groups).map((mount) => this.nameOf(mount)) });
  }

  private nameOf(mount: Mount): string {
    const { environment, tenant, delivery } = this.args;
    return classNameOf(environment, tenant, delivery.provider, mount);
  }

  private makeAccount(): pulumi.Output<string> {
    const { namespace, labels, delivery } = this.args;
    const annotations =
      delivery.provider === "aws" && delivery.identity === "irsa"
        ? { annotations: { "eks.amazonaws.com/role-arn": delivery.roleArn } }
        : {};
    return new ServiceAccount(
      this.prefix,
      {
        metadata: { name: applicationAccount, namespace, labels: labelsOf(labels), ...annotations },
        automountServiceAccountToken: false,
      },
      { parent: this, deleteBeforeReplace: true },
    ).metadata.name;
  }

  private makeClass(mount: Mount, entries: pulumi.Output<ReadonlyMap<string, EntryState>>): pulumi.Output<string> {
    const { namespace, groups, delivery, labels } = this.args;
    const delivered = entries.apply((known) => deliveredBy(mount, groups, known));
    const copies = groups.some((group) => group.syncTo !== undefined && mountOf(group) === mount);
    return new CustomResource(
      mount === "required" ? this.prefix : `${this.prefix}-optional`,
      {
        apiVersion: "secrets-store.csi.x-k8s.io/v1",
        kind: "SecretProviderClass",
        metadata: {
          namespace,
          name: this.nameOf(mount),
          labels: { ...labelsOf(labels), component: "secrets", provider: delivery.provider },
        },
        spec: {
          provider: delivery.provider,
          parameters: this.parameters(mount, delivered),
          ...(copies ? { secretObjects: delivered.apply(copiesOf) } : {}),
        },
      },
      { parent: this, deleteBeforeReplace: true },
    ).metadata.name;
  }

  private parameters(
    mount: Mount,
    delivered: pulumi.Output<ApplicationSecretGroup[]>,
  ): Record<string, pulumi.Input<string>> {
    const { environment, tenant, delivery } = this.args;
    if (delivery.provider === "aws") {
      return {
        region: delivery.region,
        ...(delivery.identity === "pod-identity" ? { usePodIdentity: "true" } : {}),
        objects: delivered.apply((groups) => awsObjects(mount, environment, tenant, groups)),
      };
    }
    const objects = pulumi
      .all([delivery.mount, delivered])
      .apply(([kv, groups]) => vaultObjects(mount, kv, tenant, groups));
    return { ...vaultParameters(delivery.login), objects };
  }

  /** Where a group stands; the update warns of what its owner has to do. */
  private stateOf(group: ApplicationSecretGroup): pulumi.Output<ApplicationSecretState> {
    const { entries, policies, now, tenant } = this.args;
    return pulumi.output(entries.get(group.group)).apply((entry) => {
      const state = stateOf(group, entry ?? { version: "", since: "", names: [] }, policies[group.class], now);
      if (state.reminder !== "") void pulumi.log.warn(`${tenant}/${group.group}: ${state.reminder}`, this);
      return state;
    });
  }
}
