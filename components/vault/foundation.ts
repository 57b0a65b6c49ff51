import * as pulumi from "@pulumi/pulumi";
import { Audit } from "@pulumi/vault/audit";
import { AuthBackend } from "@pulumi/vault/authBackend";
import { AuthBackendConfig } from "@pulumi/vault/kubernetes";
import { Mount } from "@pulumi/vault/mount";
import { SecretBackendRootCert } from "@pulumi/vault/pkisecret";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import { type MountNames, mountNames } from "./names";

/** What the owner of the Kubernetes auth mount and the audit devices makes. */
export interface OwnerArgs {
  /** The API server as Vault reaches it. */
  readonly kubernetesHost: pulumi.Input<string>;
  /** Certificate authority of the API server, PEM. Default: the one that Vault's own pod has. */
  readonly kubernetesCa?: pulumi.Input<string>;
  /** Token that reviews the tokens of pods. Default: that of Vault's own pod. */
  readonly reviewerToken?: pulumi.Input<string>;
  /** Audit devices; at least 2, as Vault stops when none of them can write. */
  readonly audit: readonly AuditArgs[];
}

/** An audit device. */
export interface AuditArgs {
  readonly name: string;
  readonly type: "file" | "socket" | "syslog";
  readonly options: Readonly<Record<string, string>>;
}

/** Arguments of `VaultFoundation`. */
export interface VaultFoundationArgs {
  /** Name of the environment; every mount carries it. A change replaces everything. */
  readonly environment: string;
  /** Path of the Kubernetes auth mount. */
  readonly authMount: string;
  /** What this stack makes as the owner of the auth mount; absent: another stack is the owner. */
  readonly owner?: OwnerArgs | undefined;
  /** Life of the environment's root, in days. A change replaces it. */
  readonly rootDays: number;
  /** How mounts that hold data are kept. */
  readonly guard: DataGuard;
}

const daySeconds = 86_400;

/** What an environment has in Vault before its tenants: mounts, root, and for the owner auth and audit. */
export class VaultFoundation extends pulumi.ComponentResource {
  /** Names of the mounts. */
  readonly mounts: MountNames;
  /** The KV mount. */
  readonly kv: Mount;
  /** The Transit mount. */
  readonly transit: Mount;
  /** The mount of the root. */
  readonly rootMount: Mount;
  /** The environment's root, PEM. */
  readonly rootCertificate: pulumi.Output<string>;
  /** Path of the Kubernetes auth mount, known once it is there. */
  readonly authMount: pulumi.Output<string>;

  constructor(name: string, args: VaultFoundationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:vault:VaultFoundation", name, {}, opts);
    refuse(`VaultFoundation ${name}`, [
      ...badName("environment", args.environment, 20),
      ...(args.owner !== undefined && args.owner.audit.length < 2
        ? [
            {
              propertyPath: "owner.audit",
              reason: `expected at least 2 audit devices, given ${args.owner.audit.length}`,
            },
          ]
        : []),
      ...(args.rootDays >= 30
        ? []
        : [{ propertyPath: "rootDays", reason: `expected at least 30, given ${args.rootDays}` }]),
    ]);
    const parent = { parent: this };
    const held = { ...parent, ...guarded(args.guard) };
    const claim = args.owner === undefined ? undefined : this.claimAuth(name, args.authMount);
    const audits = (args.owner?.audit ?? []).map(
      (device) =>
        new Audit(
          `${name}-audit-${device.name}`,
          { type: device.type, path: device.name, options: { ...device.options }, description: "Of the platform." },
          // A second owner is stopped before it changes what all of Vault's users share.
          { ...parent, dependsOn: claim === undefined ? [] : [claim] },
        ),
    );
    // Whoever writes a secret is audited from the first write on.
    const audited = { ...held, dependsOn: audits };
    const { kv, transit, root } = (this.mounts = mountNames(args.environment));
    const description = `TokenShield, environment ${args.environment}`;
    this.kv = new Mount(`${name}-kv`, { path: kv, type: "kv", options: { version: "2" }, description }, audited);
    this.transit = new Mount(`${name}-transit`, { path: transit, type: "transit", description }, audited);
    this.rootMount = new Mount(
      `${name}-pki`,
      {
        path: root,
        type: "pki",
        description,
        defaultLeaseTtlSeconds: daySeconds,
        maxLeaseTtlSeconds: args.rootDays * daySeconds,
      },
      audited,
    );
    this.rootCertificate = new SecretBackendRootCert(
      `${name}-root`,
      {
        backend: this.rootMount.path,
        type: "internal",
        commonName: `TokenShield ${args.environment} root`,
        keyType: "ec",
        keyBits: 384,
        ttl: `${args.rootDays * 24}h`,
        // Tenants' intermediates sign leaves only.
        maxPathLength: 1,
        excludeCnFromSans: true,
      },
      held,
    ).certificate;
    this.authMount =
      args.owner === undefined || claim === undefined
        ? pulumi.output(args.authMount)
        : this.configureAuth(name, claim, args.owner);
    this.registerOutputs({
      kv: this.kv.path,
      transit: this.transit.path,
      pki: this.rootMount.path,
      authMount: this.authMount,
      rootCertificate: this.rootCertificate,
    });
  }

  /** The Kubernetes auth mount. A second owner fails here: the path is taken. */
  private claimAuth(name: string, path: string): AuthBackend {
    return new AuthBackend(
      `${name}-auth`,
      { type: "kubernetes", path, description: "Logins of pods by their service accounts." },
      { parent: this },
    );
  }

  private configureAuth(name: string, auth: AuthBackend, owner: OwnerArgs): pulumi.Output<string> {
    const config = new AuthBackendConfig(
      `${name}-auth`,
      {
        backend: auth.path,
        kubernetesHost: owner.kubernetesHost,
        ...(owner.kubernetesCa === undefined ? {} : { kubernetesCaCert: owner.kubernetesCa }),
        ...(owner.reviewerToken === undefined
          ? {}
          : { tokenReviewerJwtWo: pulumi.secret(owner.reviewerToken), tokenReviewerJwtWoVersion: 1 }),
        disableLocalCaJwt: owner.reviewerToken !== undefined,
      },
      { parent: this },
    );
    return pulumi.all([auth.path, config.id]).apply(([mounted]) => mounted);
  }
}
