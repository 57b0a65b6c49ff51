import { Key } from "@pulumi/aws/kms/key";
import { Cluster } from "@pulumi/aws/rds/cluster";
import { ClusterInstance } from "@pulumi/aws/rds/clusterInstance";
import { ClusterParameterGroup } from "@pulumi/aws/rds/clusterParameterGroup";
import { SubnetGroup } from "@pulumi/aws/rds/subnetGroup";
import * as pulumi from "@pulumi/pulumi";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import {
  applicationLogin,
  applicationSchema,
  type Database,
  type DatabaseAddress,
  type DatabaseLogin,
} from "./database";

/** Arguments of `AuroraCluster`. */
export interface AuroraClusterArgs {
  /** Name of the environment. */
  readonly environment: string;
  /** Name of the tenant. */
  readonly tenant: string;
  /** Subnets, in at least 2 zones. A change replaces the cluster. */
  readonly subnetIds: readonly string[];
  /** Security groups that let the tenant's pods in. */
  readonly securityGroupIds: readonly string[];
  /** Instances, the writer among them; at least 2. */
  readonly instances: number;
  /** Class of the instances. */
  readonly instanceClass: string;
  /** Version of Aurora MySQL. */
  readonly engineVersion: string;
  /** Port of the cluster. A change replaces it. */
  readonly port: number;
  /** How long automatic backups are kept, in days: 7 to 35. */
  readonly backupDays: number;
  /** Authorities that sign the certificates of RDS in the region, PEM. */
  readonly caBundle: string;
  /** Tags of everything. */
  readonly tags: Readonly<Record<string, string>>;
  /** How cluster and key are kept. */
  readonly guard: DataGuard;
}

/**
 * A tenant's Aurora MySQL cluster: encrypted under a key of its own, reached by TLS only, backed up, and not deleted by
 * accident. The administrator's password is made and rotated by Secrets Manager and never seen here; the operator makes
 * the application's account with it, with the login that lies in Vault.
 */
export class AuroraCluster extends pulumi.ComponentResource implements Database {
  readonly address: pulumi.Output<DatabaseAddress>;
  readonly readAddress: pulumi.Output<DatabaseAddress>;
  readonly caBundle: pulumi.Output<string>;
  readonly schema: string = applicationSchema;
  readonly login: DatabaseLogin = applicationLogin;
  /** The key that data, backups and the administrator's password are encrypted with. */
  readonly key: Key;
  /** The cluster. */
  readonly cluster: Cluster;

  constructor(name: string, args: AuroraClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:database:AuroraCluster", name, {}, opts);
    refuse(`AuroraCluster ${name}`, [
      ...badName("environment", args.environment, 20),
      ...badName("tenant", args.tenant, 30),
      ...(args.subnetIds.length >= 2
        ? []
        : [{ propertyPath: "subnetIds", reason: `expected at least 2, given ${args.subnetIds.length}` }]),
      ...(args.instances >= 2
        ? []
        : [{ propertyPath: "instances", reason: `expected at least 2, given ${args.instances}` }]),
      ...(args.backupDays >= 7 && args.backupDays <= 35
        ? []
        : [{ propertyPath: "backupDays", reason: `expected 7 to 35, given ${args.backupDays}` }]),
    ]);
    const tags = {
      ...args.tags,
      "tokenization.io/environment": args.environment,
      "tokenization.io/tenant": args.tenant,
    };
    const parent = { parent: this };
    const held = { ...parent, ...guarded(args.guard) };
    this.key = new Key(
      name,
      {
        description: `TokenShield cards of ${args.tenant} in ${args.environment}`,
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        tags,
      },
      held,
    );
    const subnets = new SubnetGroup(name, { subnetIds: [...args.subnetIds].sort(), tags }, parent);
    const parameters = new ClusterParameterGroup(
      name,
      {
        family: "aurora-mysql8.0",
        description: `TokenShield, ${args.tenant} in ${args.environment}`,
        parameters: [
          { name: "require_secure_transport", value: "ON" },
          { name: "tls_version", value: "TLSv1.2,TLSv1.3" },
          { name: "server_audit_logging", value: "1" },
          { name: "server_audit_events", value: "CONNECT,QUERY_DCL,QUERY_DDL" },
        ],
        tags,
      },
      parent,
    );
    this.cluster = new Cluster(
      name,
      {
        clusterIdentifier: `tokenshield-${args.environment}-${args.tenant}`,
        engine: "aurora-mysql",
        engineVersion: args.engineVersion,
        databaseName: applicationSchema,
        masterUsername: "tokenshield_admin",
        manageMasterUserPassword: true,
        masterUserSecretKmsKeyId: this.key.arn,
        port: args.port,
        dbSubnetGroupName: subnets.name,
        dbClusterParameterGroupName: parameters.name,
        vpcSecurityGroupIds: [...args.securityGroupIds].sort(),
        storageEncrypted: true,
        kmsKeyId: this.key.arn,
        backupRetentionPeriod: args.backupDays,
        copyTagsToSnapshot: true,
        deletionProtection: args.guard.protect,
        skipFinalSnapshot: args.guard.onDestroy === "delete",
        finalSnapshotIdentifier: `tokenshield-${args.environment}-${args.tenant}-final`,
        enabledCloudwatchLogsExports: ["audit", "error"],
        tags,
      },
      // Its name is a contract with snapshots and alarms.
      { ...held, deleteBeforeReplace: true },
    );
    const instances = Array.from(
      { length: args.instances },
      (_, ordinal) =>
        new ClusterInstance(
          `${name}-${ordinal}`,
          {
            clusterIdentifier: this.cluster.id,
            engine: "aurora-mysql",
            engineVersion: args.engineVersion,
            instanceClass: args.instanceClass,
            publiclyAccessible: false,
            autoMinorVersionUpgrade: true,
            performanceInsightsEnabled: true,
            performanceInsightsKmsKeyId: this.key.arn,
            tags,
          },
          parent,
        ),
    );
    // An address before there is an instance behind it would be nobody's.
    const there = pulumi.all(instances.map(({ id }) => id));
    const at = (host: pulumi.Output<string>): pulumi.Output<DatabaseAddress> =>
      pulumi.all([host, there]).apply(([name]) => ({ host: name, port: args.port }));
    this.address = at(this.cluster.endpoint);
    this.readAddress = at(this.cluster.readerEndpoint);
    this.caBundle = pulumi.output(args.caBundle);
    this.registerOutputs({ address: this.address, readAddress: this.readAddress });
  }
}
