import { RolePolicy } from "@pulumi/aws/iam/rolePolicy";
import { Role } from "@pulumi/aws/iam/role";
import { Alias } from "@pulumi/aws/kms/alias";
import { Key } from "@pulumi/aws/kms/key";
import { Bucket } from "@pulumi/aws/s3/bucket";
import { BucketObjectLockConfiguration } from "@pulumi/aws/s3/bucketObjectLockConfiguration";
import { BucketPolicy } from "@pulumi/aws/s3/bucketPolicy";
import { BucketPublicAccessBlock } from "@pulumi/aws/s3/bucketPublicAccessBlock";
import { BucketServerSideEncryptionConfiguration } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration";
import { BucketVersioning } from "@pulumi/aws/s3/bucketVersioning";
import * as pulumi from "@pulumi/pulumi";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import { sortedJson } from "@tokenshield/rotation";
import { bucketPolicy, trustPolicy, writerPolicy } from "./policies";

/** Arguments of `BackupStorage`. */
export interface BackupStorageArgs {
  /** Name of the environment. */
  readonly environment: string;
  /** ARN of the cluster's OIDC provider in IAM. */
  readonly oidcProviderArn: string;
  /** How long nobody can delete a backup, in days. */
  readonly retentionDays: number;
  /** Tags of everything. */
  readonly tags: Readonly<Record<string, string>>;
  /** How bucket and key are kept. */
  readonly guard: DataGuard;
}

/** An account whose pods write backups. */
export interface BackupWriterArgs {
  /** Name of the tenant; backups lie below it. */
  readonly tenant: string;
  readonly namespace: string;
  /** Name of the ServiceAccount. */
  readonly account: string;
}

/** Where backups go: a bucket whose objects can't be deleted before their time, under a key of its own. */
export class BackupStorage extends pulumi.ComponentResource {
  /** The key that backups are encrypted with. */
  readonly key: Key;
  /** The bucket. */
  readonly bucket: Bucket;

  constructor(
    private readonly prefix: string,
    private readonly args: BackupStorageArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:cloud:BackupStorage", prefix, {}, opts);
    refuse(`BackupStorage ${prefix}`, [
      ...badName("environment", args.environment, 20),
      ...(args.retentionDays >= 1
        ? []
        : [{ propertyPath: "retentionDays", reason: `expected at least 1, given ${args.retentionDays}` }]),
    ]);
    const tags = { ...args.tags, "tokenization.io/environment": args.environment };
    const held = { parent: this, ...guarded(args.guard) };
    this.key = new Key(
      prefix,
      {
        description: `TokenShield backups of ${args.environment}`,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        tags,
      },
      held,
    );
    new Alias(
      prefix,
      { name: `alias/tokenshield-${args.environment}-backups`, targetKeyId: this.key.keyId },
      { parent: this, deleteBeforeReplace: true },
    );
    this.bucket = new Bucket(prefix, { objectLockEnabled: true, forceDestroy: false, tags }, held);
    this.harden(prefix, args.retentionDays);
    this.registerOutputs({ bucket: this.bucket.bucket, keyArn: this.key.arn });
  }

  private harden(name: string, days: number): void {
    const parent = { parent: this };
    const bucket = this.bucket.bucket;
    const closed = new BucketPublicAccessBlock(
      name,
      { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      parent,
    );
    const versions = new BucketVersioning(name, { bucket, versioningConfiguration: { status: "Enabled" } }, parent);
    new BucketObjectLockConfiguration(
      name,
      { bucket, rule: { defaultRetention: { mode: "COMPLIANCE", days } } },
      { ...parent, dependsOn: [versions] },
    );
    new BucketServerSideEncryptionConfiguration(
      name,
      {
        bucket,
        rules: [
          {
            applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: this.key.arn },
            bucketKeyEnabled: true,
          },
        ],
      },
      parent,
    );
    const policy = this.bucket.arn.apply((arn) => sortedJson(bucketPolicy(arn)));
    new BucketPolicy(name, { bucket, policy }, { ...parent, dependsOn: [closed] });
  }

  /**
   * The role by which one tenant's backups are written, and no other's; it can neither read nor delete any.
   * @param name name of the role's resource; begins with that of its parent
   * @returns the role's ARN, for the account's annotation
   */
  writer(name: string, writer: BackupWriterArgs, opts: pulumi.CustomResourceOptions): pulumi.Output<string> {
    const { oidcProviderArn, environment, tags } = this.args;
    const role = new Role(
      name,
      {
        description: `Writes the backups of ${writer.tenant} (${this.prefix})`,
        assumeRolePolicy: sortedJson(trustPolicy(oidcProviderArn, writer)),
        tags: { ...tags, "tokenization.io/environment": environment, "tokenization.io/tenant": writer.tenant },
      },
      opts,
    );
    new RolePolicy(
      name,
      {
        role: role.name,
        policy: pulumi
          .all([this.bucket.arn, this.key.arn])
          .apply(([bucket, key]) => sortedJson(writerPolicy(bucket, key, writer.tenant))),
      },
      opts,
    );
    return role.arn;
  }
}
