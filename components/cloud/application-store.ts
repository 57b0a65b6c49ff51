import { PodIdentityAssociation } from "@pulumi/aws/eks/podIdentityAssociation";
import { Role } from "@pulumi/aws/iam/role";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy";
import { Alias } from "@pulumi/aws/kms/alias";
import { Key } from "@pulumi/aws/kms/key";
import { getSecretVersionsOutput } from "@pulumi/aws/secretsmanager/getSecretVersions";
import { Secret } from "@pulumi/aws/secretsmanager/secret";
import { Parameter } from "@pulumi/aws/ssm/parameter";
import * as pulumi from "@pulumi/pulumi";
import { sortedJson } from "@tokenshield/rotation";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import { podTrustPolicy, readerPolicy, trustPolicy } from "./policies";

/** How pods get their role. */
export type PodIdentity =
  /** By the cluster's OIDC provider in IAM; the role stands in the account's annotation. */
  | { readonly kind: "irsa"; readonly oidcProviderArn: string }
  /** By an association of EKS, which needs no annotation. */
  | { readonly kind: "pod-identity"; readonly cluster: string };

/** Arguments of `ApplicationStore`. */
export interface ApplicationStoreArgs {
  /** Name of the environment. */
  readonly environment: string;
  /** Name of the tenant. */
  readonly tenant: string;
  /** AWS region. */
  readonly region: string;
  /** The entries by the name of their group. A change of a name replaces the entry. */
  readonly entries: ReadonlyMap<string, string>;
  /** Name of the parameter that tells the account; absent where nobody reads it. */
  readonly accountParameter: string | undefined;
  /** Namespace and ServiceAccount of the application's pods. */
  readonly namespace: string;
  readonly account: string;
  readonly identity: PodIdentity;
  /** Tags of everything. */
  readonly tags: Readonly<Record<string, string>>;
  /** How key and entries are kept. */
  readonly guard: DataGuard;
}

/** A version of an entry, as Secrets Manager tells it without its value. */
export interface StoredVersion {
  readonly versionId: string;
  /** RFC 3339. */
  readonly createdTime: string;
}

/**
 * A tenant's application secrets in AWS: an entry a group in Secrets Manager, without a value, under a key of the
 * tenant's own, and a role that reads exactly these. Values are written by their owners and never pass through here.
 */
export class ApplicationStore extends pulumi.ComponentResource {
  /** The current version of each entry, by group; undefined where it has no value. */
  readonly versions: ReadonlyMap<string, pulumi.Output<StoredVersion | undefined>>;
  /** ARN of the role that reads the entries. */
  readonly roleArn: pulumi.Output<string>;

  constructor(name: string, args: ApplicationStoreArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:cloud:ApplicationStore", name, {}, opts);
    const { environment, tenant } = args;
    refuse(`ApplicationStore ${name}`, [
      ...badName("environment", environment, 20),
      ...badName("tenant", tenant, 30),
      ...badName("namespace", args.namespace),
      ...badName("account", args.account),
      ...(args.entries.size > 0 ? [] : [{ propertyPath: "entries", reason: "expected at least one, given none" }]),
    ]);
    const tags = {
      ...args.tags,
      "tokenization.io/environment": environment,
      "tokenization.io/tenant": tenant,
    };
    const held = { parent: this, ...guarded(args.guard) };
    const key = new Key(
      name,
      {
        description: `TokenShield, application secrets of ${tenant} in ${environment}`,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        tags,
      },
      held,
    );
    new Alias(
      name,
      { name: `alias/tokenshield-${environment}-${tenant}-application`, targetKeyId: key.keyId },
      { parent: this, deleteBeforeReplace: true },
    );
    const secrets = new Map(
      [...args.entries].map(([group, entry]) => [
        group,
        new Secret(
          `${name}-${group.replaceAll("_", "-")}`,
          {
            name: entry,
            description: `${group} of ${tenant} in ${environment}; its owner writes the value`,
            kmsKeyId: key.arn,
            recoveryWindowInDays: 30,
            tags,
          },
          { ...held, deleteBeforeReplace: true },
        ),
      ]),
    );
    const parameter = this.tellAccount(name, args, tags);
    this.versions = new Map([...secrets].map(([group, secret]) => [group, currentVersion(secret, this)]));
    this.roleArn = this.makeRole(name, args, tags, { key, secrets: [...secrets.values()], parameter });
    this.registerOutputs({ roleArn: this.roleArn });
  }

  /** What an optional class begins with, as a class without an object is none. */
  private tellAccount(
    name: string,
    { accountParameter, namespace, account }: ApplicationStoreArgs,
    tags: Readonly<Record<string, string>>,
  ): Parameter | undefined {
    if (accountParameter === undefined) return undefined;
    return new Parameter(
      `${name}-account`,
      { name: accountParameter, type: "String", value: `${namespace}/${account}`, tags },
      { parent: this, deleteBeforeReplace: true },
    );
  }

  private makeRole(
    name: string,
    args: ApplicationStoreArgs,
    tags: Readonly<Record<string, string>>,
    made: { readonly key: Key; readonly secrets: readonly Secret[]; readonly parameter: Parameter | undefined },
  ): pulumi.Output<string> {
    const { identity, namespace, account, region, tenant, environment } = args;
    const trust =
      identity.kind === "irsa"
        ? trustPolicy(identity.oidcProviderArn, { namespace, account })
        : podTrustPolicy({ namespace, account });
    const role = new Role(
      name,
      {
        description: `Reads the application secrets of ${tenant} in ${environment}`,
        assumeRolePolicy: sortedJson(trust),
        tags,
      },
      { parent: this },
    );
    const arns = pulumi.all(made.secrets.map(({ arn }) => arn));
    new RolePolicy(
      name,
      {
        role: role.name,
        policy: pulumi
          .all([arns, made.key.arn, made.parameter?.arn])
          .apply(([secrets, key, parameter]) => sortedJson(readerPolicy({ secrets, key, parameter, region }))),
      },
      { parent: this },
    );
    if (identity.kind === "pod-identity") {
      new PodIdentityAssociation(
        name,
        { clusterName: identity.cluster, namespace, serviceAccount: account, roleArn: role.arn, tags },
        { parent: this },
      );
    }
    return role.arn;
  }
}

/** Asked once the entry is there: a preview of a new one knows nothing of it. */
function currentVersion(secret: Secret, parent: pulumi.Resource): pulumi.Output<StoredVersion | undefined> {
  return getSecretVersionsOutput({ secretId: secret.id }, { parent }).versions.apply((versions) => {
    const current = versions.find(({ versionStages }) => versionStages.includes("AWSCURRENT"));
    return current === undefined ? undefined : { versionId: current.versionId, createdTime: current.createdTime };
  });
}
