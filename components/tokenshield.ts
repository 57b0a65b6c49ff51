import { Namespace, ServiceAccount } from "@pulumi/kubernetes/core/v1";
import * as pulumi from "@pulumi/pulumi";
import { namespaceOf, type Settings, type TenantSettings } from "../stacks/settings";
import type { Addons } from "./addons/addons";
import { AgentCertificate } from "./certificates/agent-certificate";
import { issuerOf, trustedBundle } from "./certificates/issuer";
import { type ArgumentProblem, refuse } from "./checks";
import type { BackupStorage } from "./cloud/backup-storage";
import { type Database, plannedAddress } from "./database/database";
import { memberHosts, membersOf } from "./database/members";
import { MySqlGroup } from "./database/mysql-group";
import { outsideDatabase } from "./database/outside-database";
import { type DataGuard, guarded } from "./guard";
import { Isolation } from "./network/isolation";
import { tenantFlows } from "./network/tenant-flows";
import { accountName, type LabelArgs, labelsOf, type Part } from "./parts";
import type { Proxies } from "./proxies/proxies";
import { besideCertificate, bumpOf, tenantProxies } from "./proxies/tenant-proxies";
import { restrictedNamespace } from "./restricted";
import { type ClassName, classNames, groupsReadBy, platformClients, secretGroups } from "./secrets/catalog";
import { planRotation, type RotationPlan } from "./secrets/plan";
import type { TenantEntries } from "./secrets/read-entries";
import type { TenantLedgers } from "./secrets/read-ledgers";
import type { SecretClass } from "./secrets/secret-class";
import { SecretFiles, secretsMountPath } from "./secrets/secret-files";
import { type TenantApplication, tenantApplication } from "./secrets/tenant-application";
import { tenantClasses } from "./secrets/tenant-classes";
import { partsOf } from "./tenant-parts";
import { Tokenizer } from "./tokenizer/tokenizer";
import type { VaultFoundation } from "./vault/foundation";
import { rotationPolicies } from "./rotation/policies";
import type { Rotator } from "./rotation/rotator";
import { rotatorParts, tenantRotator } from "./rotation/tenant-rotator";
import { authorityArgs } from "./rotation/authority-rights";
import { certificateNames, serviceNames, TenantVault } from "./vault/tenant";

/** Arguments of `TokenShield`. */
export interface TokenShieldArgs {
  /** The stack's settings. Plain, as they decide which resources there are. */
  readonly settings: Settings;
  /** The tenant, one of the settings'. */
  readonly tenant: TenantSettings;
  /** What the environment has in Vault. */
  readonly foundation: VaultFoundation;
  /** The cluster's add-ons. */
  readonly addons: Addons;
  /** Where backups go; absent without a cloud. */
  readonly storage?: BackupStorage | undefined;
  /** The tenant's ledgers, read at the start of the update. */
  readonly ledgers: TenantLedgers;
  /** What Vault tells of the application's secrets, read at the start of the update. */
  readonly entries: TenantEntries;
  /** Authorities that signed Vault's certificate, PEM. Default: public ones. */
  readonly vaultCa?: string | undefined;
  /** Authorities of a database outside the cluster, PEM; needed where there is one. */
  readonly databaseCa?: string | undefined;
  /** The time of the update. */
  readonly now: Date;
}

/**
 * One merchant's card tokenization. It has a namespace that admits restricted pods only, isolated by the table of
 * flows; its keys, authority and logins in Vault; its secrets by generation; and for every part an account, files and a
 * certificate; its database; its tokenizer; and its proxies.
 */
export class TokenShield extends pulumi.ComponentResource {
  /** Namespace of the tenant. */
  readonly namespace: Namespace;
  /** The tenant's network policies. */
  readonly isolation: Isolation;
  /** The tenant's side of Vault. */
  readonly vault: TenantVault;
  /** What the tenant's parts and clients trust, PEM. */
  readonly caBundle: pulumi.Output<string>;
  /** What this update does with each class. */
  readonly rotation: RotationPlan;
  /** The classes of generated secrets. */
  readonly classes: ReadonlyMap<ClassName, SecretClass>;
  /** The secrets of the merchant's application; undefined where the settings list none. */
  readonly application: TenantApplication | undefined;
  /** The accounts of the parts. */
  readonly accounts: ReadonlyMap<Part, ServiceAccount>;
  /** The files of the parts that read secrets. */
  readonly files: ReadonlyMap<Part, SecretFiles>;
  /** The certificates of the parts. */
  readonly certificates: ReadonlyMap<Part, AgentCertificate>;
  /** The database. */
  readonly database: Database;
  /** The tokenizer. */
  readonly tokenizer: Tokenizer;
  /** The proxies that its settings ask for. */
  readonly proxies: Proxies;
  /** What applications trust on their way through the egress proxy, PEM; empty where there is none. */
  readonly egressBundle: pulumi.Output<string>;
  /** What carries its rotations. */
  readonly rotator: Rotator;

  constructor(
    private readonly prefix: string,
    private readonly args: TokenShieldArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:index:TokenShield", prefix, {}, opts);
    const { settings, tenant, foundation } = args;
    refuse(`TokenShield ${prefix}`, [...problems(args)]);
    const { environment, safety } = settings;
    const guard = { protect: safety.protect, onDestroy: safety.dataOnDestroy };
    const name = namespaceOf(environment, tenant);
    const present = partsOf(settings, tenant);

    this.namespace = new Namespace(
      prefix,
      { metadata: { name, labels: { ...labelsOf(this.labels()), ...restrictedNamespace } } },
      // It holds the volumes of the cards. Its pods go with it, and their volumes are unmounted by the driver: it stays
      // until they are gone.
      {
        parent: this,
        ...guarded(guard),
        deleteBeforeReplace: true,
        dependsOn: args.addons.needed("secretsStoreCsiDriver", "vaultCsiProvider"),
      },
    );
    this.isolation = new Isolation(
      `${prefix}-network`,
      { namespace: this.namespace.metadata.name, flows: tenantFlows(settings, tenant, present), labels: this.labels() },
      this.inNamespace(),
    );
    this.rotation = planRotation(args.ledgers, rotationPolicies(settings, tenant), args.now);
    this.vault = new TenantVault(
      `${prefix}-vault`,
      {
        environment,
        tenant: tenant.name,
        namespace: name,
        parts: present,
        foundation,
        groupsOf: (part) => groupsReadBy(part, secretGroups).map((group) => group.name),
        groups: secretGroups.map((group) => group.name),
        classes: classNames,
        intermediateDays: settings.vault.pki.intermediateDays,
        leafMinutes: settings.vault.pki.leafMinutes,
        bump: bumpOf(settings, tenant),
        ...authorityArgs(this.rotation["bump"], args.ledgers.bump, settings.vault.pki.intermediateDays),
        guard,
      },
      { parent: this },
    );
    this.caBundle = trustedBundle(settings, tenant, this.vault.caBundle);
    // A database outside the cluster comes first, as secrets carry its address; the group needs secrets to start.
    const outside = outsideDatabase(`${prefix}-database`, { ...args, guard }, { parent: this });
    this.classes = this.makeClasses(outside);
    this.application = tenantApplication(
      prefix,
      { ...args, guard, labels: this.labels() },
      { parent: this, dependsOn: args.addons.needed("secretsStoreCsiDriver", "vaultCsiProvider", "awsCsiProvider") },
    );
    this.accounts = new Map(present.map((part) => [part, this.makeAccount(part)]));
    const readers = present.filter((part) => groupsReadBy(part, secretGroups).length > 0);
    this.files = new Map(readers.map((part) => [part, this.makeFiles(part)]));
    this.certificates = new Map(present.map((part) => [part, this.makeCertificate(part, name)]));
    this.database = outside ?? this.makeGroup(guard);
    this.tokenizer = this.makeTokenizer(name);
    this.proxies = tenantProxies(
      prefix,
      {
        settings,
        tenant,
        namespace: this.namespace,
        namespaceName: name,
        certificates: this.certificates,
        labels: this.labels(),
      },
      // A proxy's pods log in to Vault before they start, and talk through its policies.
      { ...this.inNamespace(), dependsOn: [this.vault, this.isolation, ...this.accounts.values()] },
    );
    this.rotator = this.makeRotator(name);
    // Where this update makes the next authority, the bundle has it as well.
    const job = this.rotator.jobs.get("bump");
    this.egressBundle = this.vault.egress?.bundle(job === undefined ? [] : [job]) ?? pulumi.output("");
    this.registerOutputs({
      namespace: this.namespace.metadata.name,
      caBundle: this.caBundle,
      parts: present,
    });
  }

  private labels(part?: Part): LabelArgs {
    const { settings, tenant } = this.args;
    const labels = { environment: settings.environment, tenant: tenant.name, tags: settings.tags };
    return part === undefined ? labels : { ...labels, part };
  }

  /** What goes with the namespace needn't be deleted one by one, unless the namespace stays. */
  private inNamespace(): pulumi.ComponentResourceOptions {
    return this.args.settings.safety.dataOnDestroy === "delete"
      ? { parent: this, deletedWith: this.namespace }
      : { parent: this };
  }

  /** Its runs ask every pod and every member, so it comes after them. */
  private makeRotator(namespace: string): Rotator {
    const { settings, tenant, foundation, vaultCa } = this.args;
    const needed = [
      ...[this.vault, this.isolation, ...this.classes.values()],
      ...rotatorParts.flatMap((part) => [this.certificates.get(part), this.accounts.get(part)]),
      ...[this.database, this.tokenizer, this.proxies.ingress, this.proxies.egress],
    ];
    return tenantRotator(
      `${this.prefix}-rotator`,
      {
        settings,
        tenant,
        namespace,
        foundation,
        ownAuthorities: vaultCa === undefined ? "public" : "given",
        roles: this.vault.roles,
        accounts: this.accounts,
        certificates: this.certificates,
        database: this.database,
        rotation: this.rotation,
        labels: this.labels(),
      },
      { ...this.inNamespace(), dependsOn: needed.filter((one) => pulumi.Resource.isInstance(one)) },
    );
  }

  private makeClasses(outside: Database | undefined): ReadonlyMap<ClassName, SecretClass> {
    const { settings, tenant, foundation, ledgers, now } = this.args;
    const database =
      outside?.address ??
      plannedAddress(settings.database.kind, namespaceOf(settings.environment, tenant), settings.database);
    return tenantClasses(
      this.prefix,
      { tenant, rotation: this.rotation, ledgers, mount: foundation.kv.path, database, now },
      { parent: this },
    );
  }

  private makeAccount(part: Part): ServiceAccount {
    const annotations = this.cloudRole(part);
    const { pullSecret } = this.args.settings.registry;
    return new ServiceAccount(
      `${this.prefix}-${part}`,
      {
        metadata: {
          name: accountName(part),
          namespace: this.namespace.metadata.name,
          labels: labelsOf(this.labels(part)),
          ...(annotations === undefined ? {} : { annotations }),
        },
        // Pods that use the API server ask for a token themselves.
        automountServiceAccountToken: false,
        ...(pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] }),
      },
      { ...this.inNamespace(), deleteBeforeReplace: true },
    );
  }

  /** The annotation that gives the pods of backups their role in AWS. */
  private cloudRole(part: Part): Record<string, pulumi.Output<string>> | undefined {
    const { settings, tenant, storage } = this.args;
    if (part !== "backup" || storage === undefined) return undefined;
    const namespace = namespaceOf(settings.environment, tenant);
    const writer = { tenant: tenant.name, namespace, account: accountName(part) };
    const arn = storage.writer(`${this.prefix}-backup`, writer, { parent: this });
    return { "eks.amazonaws.com/role-arn": arn };
  }

  private makeFiles(part: Part): SecretFiles {
    const { settings, tenant, foundation, addons } = this.args;
    const { vault } = settings;
    const written = [...this.classes.values()].flatMap((one) => one.written);
    return new SecretFiles(
      `${this.prefix}-${part}-secrets`,
      {
        environment: settings.environment,
        tenant: tenant.name,
        part,
        namespace: this.namespace.metadata.name,
        groups: groupsReadBy(part, secretGroups),
        vaultAddress: vault.podAddress ?? vault.address,
        vaultNamespace: vault.namespace,
        vaultCaPath: vault.csiCaPath,
        authMount: foundation.authMount,
        role: this.roleOf(part),
        mount: foundation.kv.path,
        labels: this.labels(),
      },
      {
        ...this.inNamespace(),
        dependsOn: [...written, ...addons.needed("secretsStoreCsiDriver", "vaultCsiProvider")],
      },
    );
  }

  private makeCertificate(part: Part, namespace: string): AgentCertificate {
    const { settings, foundation, vaultCa } = this.args;
    const { registry, vault } = settings;
    return new AgentCertificate(
      `${this.prefix}-${part}-certificate`,
      {
        namespace: this.namespace.metadata.name,
        part,
        names: [
          ...certificateNames(part, namespace),
          ...(part === "database" ? memberHosts(membersOf(settings, this.args.tenant), namespace) : []),
        ],
        image: registry.references.vault,
        vaultAddress: vault.podAddress ?? vault.address,
        vaultNamespace: vault.namespace,
        vaultCa,
        authMount: foundation.authMount,
        role: this.roleOf(part),
        issuer: issuerOf(settings, this.args.tenant) ?? { mount: this.vault.issuer, role: part },
        caBundle: this.caBundle,
        leafMinutes: vault.pki.leafMinutes,
        ...besideCertificate(part, bumpOf(settings, this.args.tenant), this.vault),
        labels: this.labels(),
      },
      this.inNamespace(),
    );
  }

  private makeTokenizer(namespace: string): Tokenizer {
    const { settings, tenant, foundation, vaultCa } = this.args;
    const { registry, vault } = settings;
    const certificate = partOf(this.certificates, "tokenizer");
    const files = partOf(this.files, "tokenizer");
    const account = partOf(this.accounts, "tokenizer");
    return new Tokenizer(
      `${this.prefix}-tokenizer`,
      {
        tenant: tenant.name,
        namespace,
        account: account.metadata.name,
        image: registry.references.tokenizer,
        spec: tenant.spec.tokenizer,
        format: tenant.spec.tokenization.format,
        application: tenant.spec.proxies.inbound.enabled ? tenant.application?.url : undefined,
        gateways: tenant.gateways,
        // Where a tenant has no such proxy, nobody has its certificate.
        peers: { http: [serviceNames("inbound", namespace)[0]], icap: [serviceNames("outbound", namespace)[0]] },
        clients: Object.entries(platformClients).map(([client, words]) => `${client}:${words}`),
        database: this.database,
        clientCertificate: settings.database.kind === "group" ? "shown" : "none",
        vault: {
          address: vault.podAddress ?? vault.address,
          namespace: vault.namespace,
          ownAuthorities: vaultCa === undefined ? "public" : "given",
          authMount: foundation.authMount,
          role: this.roleOf("tokenizer"),
          kvMount: foundation.kv.path,
          transitMount: foundation.transit.path,
          transitKey: this.vault.key.name,
        },
        certificate: certificate.pod,
        secrets: files.mount(),
        labels: this.labels(),
      },
      {
        ...this.inNamespace(),
        dependsOn: [
          this.vault,
          this.isolation,
          certificate,
          files,
          account,
          ...(pulumi.Resource.isInstance(this.database) ? [this.database] : []),
        ],
      },
    );
  }

  private makeGroup(guard: DataGuard): MySqlGroup {
    const { settings, tenant } = this.args;
    const { environment, database, registry } = settings;
    const { mysql = "", "mysql-agent": agent = "" } = registry.references;
    const { memory, cpuRequest, cpuLimit, storageClass, nodes } = database.group;
    const files = partOf(this.files, "database");
    const account = partOf(this.accounts, "database");
    return new MySqlGroup(
      `${this.prefix}-database`,
      {
        environment,
        tenant: tenant.name,
        namespace: namespaceOf(environment, tenant),
        members: membersOf(settings, tenant),
        images: { mysql, agent },
        account,
        certificate: partOf(this.certificates, "database").pod,
        secrets: { ...files.mount(), path: secretsMountPath },
        resources: { memory, cpuRequest, cpuLimit },
        size: tenant.spec.database.size,
        storageClass,
        nodes,
        caBundle: this.caBundle,
        guard,
        labels: this.labels(),
      },
      // Its pods log in to Vault from their first moment on, and call each other.
      { ...this.inNamespace(), dependsOn: [this.namespace, this.isolation, this.vault] },
    );
  }

  private roleOf(part: Part): pulumi.Output<string> {
    return partOf(this.vault.roles, part).roleName;
  }
}

/** What one part has. */
function partOf<T>(made: ReadonlyMap<Part, T>, part: Part): T {
  const own = made.get(part);
  if (own === undefined) throw new Error(`${part} is no part of this tenant`);
  return own;
}

function* problems({ settings, tenant, databaseCa }: TokenShieldArgs): Generator<ArgumentProblem> {
  if (settings.database.kind !== "group" && databaseCa === undefined) {
    yield {
      propertyPath: "databaseCa",
      reason: "expected certificates in PEM, as the database is outside the cluster",
    };
  }
  if (!settings.tenants.includes(tenant)) {
    yield { propertyPath: "tenant", reason: `expected a tenant of the settings, given ${tenant.name}` };
  }
}
