import { createHash } from "node:crypto";
import { StatefulSet } from "@pulumi/kubernetes/apps/v1";
import { ConfigMap, Service, type ServiceAccount } from "@pulumi/kubernetes/core/v1";
import type { types } from "@pulumi/kubernetes";
import { PodDisruptionBudget } from "@pulumi/kubernetes/policy/v1";
import { Role, RoleBinding } from "@pulumi/kubernetes/rbac/v1";
import * as pulumi from "@pulumi/pulumi";
import { quantity } from "../../stacks/formats";
import type { CertificatePod } from "../certificates/agent-certificate";
import { type ArgumentProblem, badName, refuse } from "../checks";
import type { DataGuard } from "../guard";
import { databaseServices, type LabelArgs, labelsOf, ports, roleLabel } from "../parts";
import { serviceNames } from "../vault/tenant";
import {
  applicationLogin,
  applicationSchema,
  type Database,
  type DatabaseAddress,
  type DatabaseLogin,
  serviceHost,
} from "./database";
import { dataClaim, memberPod, type SecretsVolume, type ServerResources } from "./member-pod";
import { groupName, memberHosts, memberList, mostMembers } from "./members";
import { leastMemory, serverConfig, serverScript } from "./server-config";

/** Arguments of `MySqlGroup`. */
export interface MySqlGroupArgs {
  /** Name of the environment. With the tenant's name it makes the group's, so a change is a new database. */
  readonly environment: string;
  /** Name of the tenant. */
  readonly tenant: string;
  /** Namespace of the tenant; plain, as the names of members are made of it. */
  readonly namespace: string;
  /** Members: 1, 3 or 5. */
  readonly members: number;
  /** Images of MySQL and of its agent. */
  readonly images: { readonly mysql: pulumi.Input<string>; readonly agent: pulumi.Input<string> };
  /** Account of the pods; gets the rights that the agent needs. */
  readonly account: ServiceAccount;
  /** Certificate of the members. */
  readonly certificate: CertificatePod;
  /** Secrets of the members. */
  readonly secrets: SecretsVolume;
  /** CPU and memory of a server; memory at least 704Mi. */
  readonly resources: ServerResources;
  /** Size of a member's volume. A change counts for members that are made later. */
  readonly size: string;
  /** StorageClass of the volumes. Default: the cluster's. */
  readonly storageClass?: string | undefined;
  /** `apart`: no two members on one node; `together`: apart where there are nodes enough. */
  readonly nodes: "apart" | "together";
  /** What members' certificates are signed by, PEM. */
  readonly caBundle: pulumi.Output<string>;
  /** What happens to the volumes at the end. */
  readonly guard: DataGuard;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** The label that the agents keep: `primary` on one pod, `secondary` on the others that serve. */
const memberRole = "tokenization.io/mysql-role";

/**
 * A MySQL group in the cluster: Group Replication with a single primary. Each member's agent starts the group once,
 * joins, clones and hands over; Services follow the agents' labels.
 */
export class MySqlGroup extends pulumi.ComponentResource implements Database {
  readonly address: pulumi.Output<DatabaseAddress>;
  readonly readAddress: pulumi.Output<DatabaseAddress>;
  readonly caBundle: pulumi.Output<string>;
  readonly schema: string = applicationSchema;
  readonly login: DatabaseLogin = applicationLogin;
  /** The members. */
  readonly set: StatefulSet;

  constructor(
    private readonly prefix: string,
    private readonly args: MySqlGroupArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:database:MySqlGroup", prefix, {}, opts);
    refuse(`MySqlGroup ${prefix}`, [...problems(args)]);
    const rights = this.makeRights();
    const headless = this.makeService("members", databaseServices.members, {
      clusterIP: "None",
      // Members find each other before they serve.
      publishNotReadyAddresses: true,
    });
    this.set = this.makeSet([headless, ...rights]);
    new PodDisruptionBudget(
      prefix,
      {
        metadata: this.metadata(databaseServices.primary),
        // The larger half must stay: one at a time also leaves it to members that are catching up.
        spec: { maxUnavailable: 1, selector: { matchLabels: this.selector() } },
      },
      this.named(),
    );
    const primary = this.makeService("primary", databaseServices.primary, { role: "primary" });
    const replicas =
      args.members === 1 ? primary : this.makeService("replicas", databaseServices.replicas, { role: "secondary" });
    this.address = this.addressOf(primary, databaseServices.primary);
    this.readAddress = this.addressOf(
      replicas,
      args.members === 1 ? databaseServices.primary : databaseServices.replicas,
    );
    this.caBundle = args.caBundle;
    this.registerOutputs({ address: this.address, readAddress: this.readAddress, members: args.members });
  }

  private metadata(name: string): types.input.meta.v1.ObjectMeta {
    return { name, namespace: this.args.namespace, labels: labelsOf({ ...this.args.labels, part: "database" }) };
  }

  private selector(): Record<string, string> {
    return { [roleLabel]: "database" };
  }

  /** What has a name of its own can't stand beside its replacement. */
  private named(): pulumi.CustomResourceOptions {
    return { parent: this, deleteBeforeReplace: true };
  }

  /** Leases, by which the agents leave word for each other, and the labels of pods. */
  private makeRights(): pulumi.Resource[] {
    const { account, namespace } = this.args;
    const role = new Role(
      this.prefix,
      {
        metadata: this.metadata(databaseServices.primary),
        rules: [
          { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "list", "create", "update"] },
          { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "patch"] },
        ],
      },
      this.named(),
    );
    const binding = new RoleBinding(
      this.prefix,
      {
        metadata: this.metadata(databaseServices.primary),
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
        subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace }],
      },
      this.named(),
    );
    return [role, binding];
  }

  private makeService(
    suffix: string,
    name: string,
    { role, ...spec }: types.input.core.v1.ServiceSpec & { readonly role?: string },
  ): Service {
    const list = [{ name: "mysql", port: ports.mysql, targetPort: ports.mysql }];
    return new Service(
      `${this.prefix}-${suffix}`,
      {
        metadata: this.metadata(name),
        spec: {
          ...spec,
          selector: { ...this.selector(), ...(role === undefined ? {} : { [memberRole]: role }) },
          ports:
            role === undefined
              ? [...list, { name: "group", port: ports.groupReplication, targetPort: ports.groupReplication }]
              : list,
        },
      },
      // Which pod is behind it is the agents' doing, so there is one only after the members are up.
      role === undefined ? this.named() : { ...this.named(), dependsOn: [this.set] },
    );
  }

  private makeSet(dependsOn: pulumi.Resource[]): StatefulSet {
    const { args } = this;
    const { certificate, guard, members, namespace, resources } = args;
    const data = {
      "server.cnf": serverConfig(bytes(resources.memory)),
      "server.sh": serverScript(serviceHost(databaseServices.members, namespace)),
    };
    const settings = new ConfigMap(
      `${this.prefix}-settings`,
      { metadata: { namespace, labels: labelsOf({ ...args.labels, part: "database" }) }, data },
      { parent: this },
    );
    const checksum = createHash("sha256").update(JSON.stringify(data)).digest("hex").slice(0, 16);
    const labels = labelsOf({ ...args.labels, part: "database" });
    return new StatefulSet(
      this.prefix,
      {
        metadata: this.metadata(databaseServices.primary),
        spec: {
          serviceName: databaseServices.members,
          replicas: members,
          // The first start waits until every member is heard.
          podManagementPolicy: "Parallel",
          selector: { matchLabels: this.selector() },
          persistentVolumeClaimRetentionPolicy: {
            whenDeleted: guard.onDestroy === "retain" ? "Retain" : "Delete",
            whenScaled: "Retain",
          },
          template: {
            metadata: {
              labels,
              annotations: { ...certificate.annotations, "tokenization.io/mysql-settings": checksum },
            },
            spec: memberPod({
              ...args,
              serviceAccount: args.account.metadata.name,
              settings: settings.metadata.name,
              members: memberList(members, namespace, ports),
              allowedHosts: memberHosts(mostMembers, namespace).join(),
              groupName: groupName(args.environment, args.tenant),
              refreshCaller: serviceNames("rotator", namespace)[0],
            }),
          },
          volumeClaimTemplates: [
            {
              metadata: { name: dataClaim, labels },
              spec: {
                accessModes: ["ReadWriteOnce"],
                ...(args.storageClass === undefined ? {} : { storageClassName: args.storageClass }),
                resources: { requests: { storage: args.size } },
              },
            },
          ],
        },
      },
      {
        ...this.named(),
        dependsOn,
        // Kubernetes can't change them, and a set that is replaced for them would stop the group.
        ignoreChanges: ["spec.volumeClaimTemplates"],
        customTimeouts: { create: "20m", update: "60m" },
      },
    );
  }

  private addressOf({ id }: Service, name: string): pulumi.Output<DatabaseAddress> {
    return id.apply(() => ({ host: serviceHost(name, this.args.namespace), port: ports.mysql }));
  }
}

const bytes = (text: string): number => quantity(text) ?? 0;

function* problems({
  environment,
  tenant,
  namespace,
  members,
  resources,
  size,
}: MySqlGroupArgs): Generator<ArgumentProblem> {
  yield* badName("environment", environment, 20);
  yield* badName("tenant", tenant, 30);
  yield* badName("namespace", namespace);
  if (![1, 3, 5].includes(members)) yield { propertyPath: "members", reason: `expected 1, 3 or 5, given ${members}` };
  if (bytes(resources.memory) < leastMemory) {
    yield { propertyPath: "resources.memory", reason: `expected at least 704Mi, given ${resources.memory}` };
  }
  if (bytes(size) < 2 ** 30) yield { propertyPath: "size", reason: `expected at least 1Gi, given ${size}` };
}
