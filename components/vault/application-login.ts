import * as pulumi from "@pulumi/pulumi";
import { AuthBackendRole } from "@pulumi/vault/kubernetes";
import { Policy } from "@pulumi/vault/policy";
import { badName, refuse } from "../checks";
import { applicationRole, ownerPolicy } from "./names";
import { applicationRules, ownerRules, policyText } from "./policy";
import { vaultAudience } from "./tenant";

/** Arguments of `ApplicationLogin`. */
export interface ApplicationLoginArgs {
  /** Name of the environment. A change replaces everything. */
  readonly environment: string;
  /** Name of the tenant. A change replaces everything. */
  readonly tenant: string;
  /** Names of the application's groups of secrets. */
  readonly groups: readonly string[];
  /** Namespace and ServiceAccount of the application's pods. */
  readonly namespace: string;
  readonly account: string;
  /** Path of the Kubernetes auth mount. */
  readonly authMount: pulumi.Input<string>;
}

/** A tenant's application in Vault: a login that reads its own secrets, and a policy for the people who write them. */
export class ApplicationLogin extends pulumi.ComponentResource {
  /** The login of the application's pods. */
  readonly role: pulumi.Output<string>;
  /** The policy of the owners. Nothing here gives it to anybody: people log in as the company has it. */
  readonly ownerPolicy: pulumi.Output<string>;

  constructor(name: string, args: ApplicationLoginArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:vault:ApplicationLogin", name, {}, opts);
    const { environment, tenant, groups, namespace, account } = args;
    refuse(`ApplicationLogin ${name}`, [
      ...badName("environment", environment, 20),
      ...badName("tenant", tenant, 30),
      ...badName("namespace", namespace),
      ...badName("account", account),
      ...(groups.length > 0 ? [] : [{ propertyPath: "groups", reason: "expected at least one group, given none" }]),
    ]);
    const parent = { parent: this };
    const reads = new Policy(
      `${name}-reader`,
      { name: applicationRole(environment, tenant), policy: policyText(applicationRules(environment, tenant, groups)) },
      parent,
    );
    this.ownerPolicy = new Policy(
      `${name}-owner`,
      { name: ownerPolicy(environment, tenant), policy: policyText(ownerRules(environment, tenant, groups)) },
      parent,
    ).name;
    this.role = new AuthBackendRole(
      `${name}-reader`,
      {
        backend: args.authMount,
        roleName: applicationRole(environment, tenant),
        boundServiceAccountNames: [account],
        boundServiceAccountNamespaces: [namespace],
        audience: vaultAudience,
        tokenPolicies: [reads.name],
        tokenNoDefaultPolicy: true,
        tokenTtl: 1200,
        tokenMaxTtl: 86_400,
      },
      parent,
    ).roleName;
    this.registerOutputs({ role: this.role, ownerPolicy: this.ownerPolicy });
  }
}
