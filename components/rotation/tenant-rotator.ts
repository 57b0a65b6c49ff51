import type { ServiceAccount } from "@pulumi/kubernetes/core/v1";
import type * as pulumi from "@pulumi/pulumi";
import type { AuthBackendRole } from "@pulumi/vault/kubernetes";
import type { Settings, TenantSettings } from "../../stacks/settings";
import type { AgentCertificate } from "../certificates/agent-certificate";
import type { Database } from "../database/database";
import { membersOf } from "../database/members";
import type { LabelArgs, Part } from "../parts";
import { secretGroups } from "../secrets/catalog";
import type { RotationPlan } from "../secrets/plan";
import type { VaultFoundation } from "../vault/foundation";
import { authorityStem } from "../vault/bump";
import { egressMount, keyName, mountNames } from "../vault/names";
import { rotationPolicies } from "./policies";
import { type PodIdentity, Rotator } from "./rotator";

/** The parts that run the rotator's program: itself, and what tells Prometheus of its ledgers, where that is there. */
export const rotatorParts = ["rotator", "ledgers"] as const satisfies readonly Part[];

/** What a tenant's rotator is made of. */
export interface TenantRotatorArgs {
  readonly settings: Settings;
  readonly tenant: TenantSettings;
  /** Namespace of the tenant. */
  readonly namespace: string;
  readonly foundation: Pick<VaultFoundation, "kv" | "authMount">;
  /** Whether Vault's certificate is signed by authorities of its own. */
  readonly ownAuthorities: "given" | "public";
  /** Vault roles, accounts and certificates by part; those of `rotatorParts` are used. */
  readonly roles: ReadonlyMap<Part, AuthBackendRole>;
  readonly accounts: ReadonlyMap<Part, ServiceAccount>;
  readonly certificates: ReadonlyMap<Part, AgentCertificate>;
  readonly database: Database;
  /** What this update does with each class. */
  readonly rotation: RotationPlan;
  readonly labels: LabelArgs;
}

/** The rotator of a tenant, as its settings want it. */
export function tenantRotator(name: string, args: TenantRotatorArgs, opts: pulumi.ComponentResourceOptions): Rotator {
  const { settings, tenant, foundation, database } = args;
  const { vault } = settings;
  const own = identityOf(args, "rotator");
  if (own === undefined) throw new Error("the rotator is no part of this tenant");
  return new Rotator(
    name,
    {
      tenant: tenant.name,
      namespace: args.namespace,
      mount: foundation.kv.path,
      policies: rotationPolicies(settings, tenant),
      groups: secretGroups,
      transit: { mount: mountNames(settings.environment).transit, key: keyName(tenant.name) },
      authority: {
        pki: egressMount(settings.environment, tenant.name),
        stem: authorityStem({ environment: settings.environment, tenant: tenant.name }),
        days: vault.pki.intermediateDays,
        renewSeconds: vault.pki.leafMinutes * 60,
      },
      schema: database.schema,
      database: settings.database.kind === "group" ? { members: membersOf(settings, tenant) } : database.address,
      rotation: args.rotation,
      exporter: identityOf(args, "ledgers"),
      image: settings.registry.references.rotator,
      account: own.account,
      certificate: own.certificate,
      vault: {
        address: vault.podAddress ?? vault.address,
        namespace: vault.namespace,
        ownAuthorities: args.ownAuthorities,
        authMount: foundation.authMount,
        role: own.role,
      },
      labels: args.labels,
    },
    opts,
  );
}

/** What the pods of a part log in and speak by; undefined where the tenant has no such part. */
function identityOf(
  { roles, accounts, certificates }: Pick<TenantRotatorArgs, "roles" | "accounts" | "certificates">,
  part: Part,
): PodIdentity | undefined {
  const [role, account, certificate] = [roles.get(part), accounts.get(part), certificates.get(part)];
  if (role === undefined || account === undefined || certificate === undefined) return undefined;
  return { role: role.roleName, account: account.metadata.name, certificate: certificate.pod };
}
