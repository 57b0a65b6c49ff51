import * as pulumi from "@pulumi/pulumi";
import { Mount } from "@pulumi/vault/mount";
import { SecretBackendRootCert } from "@pulumi/vault/pkisecret";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import { egressMount } from "./names";

/** Arguments of `EgressAuthority`. */
export interface EgressAuthorityArgs {
  /** Name of the environment. A change replaces it. */
  readonly environment: string;
  /** Name of the tenant. A change replaces it. */
  readonly tenant: string;
  /** Life of the authority, in days. A change replaces it, and applications then need its new certificate. */
  readonly days: number;
  /** How it is kept: without it applications would trust nobody on their way out. */
  readonly guard: DataGuard;
}

/**
 * What the applications of a tenant trust on their way through the egress proxy, and nowhere else. It stands beside the
 * environment's root, so that trust in it opens nothing else; it signs only the pods' own authorities, and those only
 * as the egress proxy's policy says. Its key never leaves Vault.
 */
export class EgressAuthority extends pulumi.ComponentResource {
  /** Path of its mount. */
  readonly mount: pulumi.Output<string>;
  /** Its certificate, PEM. */
  readonly certificate: pulumi.Output<string>;

  constructor(name: string, args: EgressAuthorityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:vault:EgressAuthority", name, {}, opts);
    const { environment, tenant, days } = args;
    refuse(`EgressAuthority ${name}`, [
      ...badName("environment", environment, 20),
      ...badName("tenant", tenant, 30),
      ...(days >= 7 ? [] : [{ propertyPath: "days", reason: `expected at least 7, given ${days}` }]),
    ]);
    const held = { parent: this, ...guarded(args.guard) };
    const mount = new Mount(
      name,
      {
        path: egressMount(environment, tenant),
        type: "pki",
        description: `TokenShield, what the egress proxy of ${tenant} in ${environment} signs with`,
        defaultLeaseTtlSeconds: 86_400,
        maxLeaseTtlSeconds: days * 86_400,
      },
      held,
    );
    const root = new SecretBackendRootCert(
      name,
      {
        backend: mount.path,
        type: "internal",
        commonName: `TokenShield ${environment} ${tenant} egress`,
        keyType: "ec",
        keyBits: 256,
        ttl: `${days * 24}h`,
        maxPathLength: 1,
        excludeCnFromSans: true,
      },
      held,
    );
    this.mount = pulumi.all([mount.path, root.issuerId]).apply(([path]) => path);
    this.certificate = root.certificate;
    this.registerOutputs({ mount: this.mount, certificate: this.certificate });
  }
}
