import type { ServiceAccount } from "@pulumi/kubernetes/core/v1";
import type * as pulumi from "@pulumi/pulumi";
import type { Settings, TenantSettings } from "../../stacks/settings";
import type { AgentCertificate } from "../certificates/agent-certificate";
import type { Database } from "../database/database";
import { membersOf } from "../database/members";
import type { LabelArgs } from "../parts";
import { secretGroups } from "../secrets/catalog";
import type { RotationPlan } from "../secrets/plan";
import type { VaultFoundation } from "../vault/foundation";
import { keyName, mountNames } from "../vault/names";
import { rotationPolicies } from "./policies";
import { Rotator } from "./rotator";

/** What a tenant's rotator is made of. */
export interface TenantRotatorArgs {
  readonly settings: Settings;
  readonly tenant: TenantSettings;
  /** Namespace of the tenant. */
  readonly namespace: string;
  readonly foundation: Pick<VaultFoundation, "kv" | "authMount">;
  /** Whether Vault's certificate is signed by authorities of its own. */
  readonly ownAuthorities: "given" | "public";
  /** The rotator's Vault role. */
  readonly role: pulumi.Input<string>;
  readonly account: ServiceAccount;
  readonly certificate: AgentCertificate;
  readonly database: Database;
  /** What this update does with each class. */
  readonly rotation: RotationPlan;
  readonly labels: LabelArgs;
}

/** The rotator of a tenant, as its settings want it. */
export function tenantRotator(name: string, args: TenantRotatorArgs, opts: pulumi.ComponentResourceOptions): Rotator {
  const { settings, tenant, foundation, database } = args;
  const { vault } = settings;
  return new Rotator(
    name,
    {
      tenant: tenant.name,
      namespace: args.namespace,
      mount: foundation.kv.path,
      policies: rotationPolicies(settings, tenant),
      groups: secretGroups,
      transit: { mount: mountNames(settings.environment).transit, key: keyName(tenant.name) },
      schema: database.schema,
      database: settings.database.kind === "group" ? { members: membersOf(settings, tenant) } : database.address,
      rotation: args.rotation,
      image: settings.registry.references.rotator,
      account: args.account.metadata.name,
      certificate: args.certificate.pod,
      vault: {
        address: vault.podAddress ?? vault.address,
        namespace: vault.namespace,
        ownAuthorities: args.ownAuthorities,
        authMount: foundation.authMount,
        role: args.role,
      },
      labels: args.labels,
    },
    opts,
  );
}
