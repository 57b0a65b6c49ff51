import * as pulumi from "@pulumi/pulumi";
import { Mount } from "@pulumi/vault/mount";
import { getBackendIssuerOutput, getBackendIssuersOutput, SecretBackendRootCert } from "@pulumi/vault/pkisecret";
import { issuerGeneration, rootParameters } from "@tokenshield/rotation";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import { authorityStem } from "./bump";
import { egressMount } from "./names";

/** The first generation of an egress authority: the only one, one of two during a rotation, or ended by one. */
export type FirstGeneration = "alone" | "beside another" | "ended";

/** Arguments of `EgressAuthority`. */
export interface EgressAuthorityArgs {
  /** Name of the environment. A change replaces it. */
  readonly environment: string;
  /** Name of the tenant. A change replaces it. */
  readonly tenant: string;
  /** Life of a generation, in days. A change is for the next one that the rotator makes. */
  readonly days: number;
  /** Whether the first generation is there: it is made by the update, every later one by the rotator. */
  readonly first: FirstGeneration;
  /** How it is kept: without it applications would trust nobody on their way out. */
  readonly guard: DataGuard;
}

/**
 * What the applications of a tenant trust on their way through the egress proxy, and nowhere else. It stands beside the
 * environment's root, so that trust in it opens nothing else; it signs only the pods' own authorities, and those only
 * as the egress proxy's policy says. Its key never leaves Vault. Each generation is an issuer of one mount, and the
 * mount's default signs: the first is made here, once, and forgotten, not deleted, when the rotator has ended it.
 */
export class EgressAuthority extends pulumi.ComponentResource {
  /** Path of its mount. */
  readonly mount: pulumi.Output<string>;
  private readonly firstCertificate: pulumi.Output<string>;

  constructor(name: string, args: EgressAuthorityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:vault:EgressAuthority", name, {}, opts);
    const { environment, tenant, days } = args;
    refuse(`EgressAuthority ${name}`, [
      ...badName("environment", environment, 20),
      ...badName("tenant", tenant, 30),
      ...(days >= 7 ? [] : [{ propertyPath: "days", reason: `expected at least 7, given ${days}` }]),
    ]);
    const mount = new Mount(
      name,
      {
        path: egressMount(environment, tenant),
        type: "pki",
        description: `TokenShield, what the egress proxy of ${tenant} in ${environment} signs with`,
        defaultLeaseTtlSeconds: 86_400,
        maxLeaseTtlSeconds: days * 86_400,
      },
      { parent: this, ...guarded(args.guard) },
    );
    const root = args.first === "ended" ? undefined : this.makeFirst(name, mount.path, args);
    this.mount = pulumi.all([mount.path, root?.issuerId]).apply(([path]) => path);
    this.firstCertificate = pulumi.output(root?.certificate ?? "");
    this.registerOutputs({ mount: this.mount });
  }

  /**
   * The certificates of all generations that Vault has, PEM: what applications trust. In a rotation there are two.
   * @param after what the reading waits for
   */
  bundle(after: readonly pulumi.Resource[]): pulumi.Output<string> {
    const opts = { parent: this, dependsOn: [...after] };
    // A preview that is made without Vault has no answer.
    const listed = getBackendIssuersOutput({ backend: this.mount }, opts) as pulumi.Output<{
      readonly keys?: string[];
    }>;
    const read = pulumi
      .all([this.mount, listed])
      .apply(([backend, { keys = [] }]) =>
        pulumi.all(keys.map((issuerRef) => getBackendIssuerOutput({ backend, issuerRef }, opts))),
      );
    return pulumi.all([read, this.firstCertificate]).apply(([issuers, first]) => {
      const certificates = issuers
        .map(({ issuerName, certificate }) => ({
          number: issuerGeneration(issuerName) ?? 0,
          certificate: certificate.trim(),
        }))
        .filter(({ number }) => number > 0)
        .sort((a, b) => a.number - b.number)
        .map(({ certificate }) => `${certificate}\n`);
      return certificates.length === 0 ? first : certificates.join("");
    });
  }

  private makeFirst(name: string, backend: pulumi.Input<string>, args: EgressAuthorityArgs): SecretBackendRootCert {
    const parameters = rootParameters(authorityStem(args), 1, args.days);
    return new SecretBackendRootCert(
      name,
      {
        backend,
        type: "internal",
        commonName: parameters.common_name,
        issuerName: parameters.issuer_name,
        keyName: parameters.key_name,
        keyType: parameters.key_type,
        keyBits: 256,
        ttl: parameters.ttl,
        maxPathLength: 1,
        excludeCnFromSans: true,
      },
      {
        parent: this,
        // Once the rotator has ended it, it is to be forgotten: by then it isn't protected any more.
        protect: args.guard.protect && args.first === "alone",
        // Its mount keeps it. Providers would delete every issuer of the mount with it.
        retainOnDelete: true,
        ignoreChanges: ["ttl"],
      },
    );
  }
}
