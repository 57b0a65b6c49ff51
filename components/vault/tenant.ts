import * as pulumi from "@pulumi/pulumi";
import { AuthBackendRole } from "@pulumi/vault/kubernetes";
import { Mount } from "@pulumi/vault/mount";
import * as pki from "@pulumi/vault/pkisecret";
import { Policy } from "@pulumi/vault/policy";
import { SecretBackendKey } from "@pulumi/vault/transit";
import { badName, refuse } from "../checks";
import { type DataGuard, guarded } from "../guard";
import { accountName, databaseServices, outboundPods, type Part, tokenizerPods } from "../parts";
import { EgressAuthority, type FirstGeneration } from "./egress-authority";
import type { VaultFoundation } from "./foundation";
import { intermediateMount, keyName, roleName } from "./names";
import { type PolicyArgs, policyRules, policyText } from "./policy";

/** Arguments of `TenantVault`. */
export interface TenantVaultArgs extends PolicyArgs {
  /** What the environment has in Vault. */
  readonly foundation: Pick<VaultFoundation, "transit" | "rootMount" | "rootCertificate" | "authMount">;
  /** Namespace of the tenant. A change replaces roles and intermediate. */
  readonly namespace: string;
  /** The parts of the tenant; each gets a policy, a login and a certificate role. */
  readonly parts: readonly Part[];
  /** Life of the tenant's intermediate, in days. A change replaces it. */
  readonly intermediateDays: number;
  /** Life of a certificate, in minutes. */
  readonly leafMinutes: number;
  /** How keys are kept. */
  readonly guard: DataGuard;
  /** Whether the first generation of the egress authority is there. */
  readonly firstAuthority: FirstGeneration;
}

/** The audience that pods' tokens for Vault are bound to. */
export const vaultAudience = "vault";

/** What a tenant has in Vault: its key-encryption key, its certificate authority, and a least-privilege login a part. */
export class TenantVault extends pulumi.ComponentResource {
  /** The tenant's key-encryption key; not exportable. */
  readonly key: SecretBackendKey;
  /** Path of the tenant's certificate authority. */
  readonly issuer: pulumi.Output<string>;
  /** The tenant's certificate authority and the environment's root, PEM: what its clients trust. */
  readonly caBundle: pulumi.Output<string>;
  /** What the egress proxy signs with, where there is one. */
  readonly egress: EgressAuthority | undefined;
  /** The logins by part. */
  readonly roles: ReadonlyMap<Part, AuthBackendRole>;
  /** The certificate roles by part. */
  readonly certificateRoles: ReadonlyMap<Part, pki.SecretBackendRole>;

  constructor(name: string, args: TenantVaultArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:vault:TenantVault", name, {}, opts);
    const { environment, tenant, namespace, foundation } = args;
    refuse(`TenantVault ${name}`, [
      ...badName("environment", environment, 20),
      ...badName("tenant", tenant, 30),
      ...badName("namespace", namespace),
      ...(args.leafMinutes <= 1440
        ? []
        : [{ propertyPath: "leafMinutes", reason: `expected at most 1440 (a day), given ${args.leafMinutes}` }]),
    ]);
    this.key = new SecretBackendKey(
      `${name}-key`,
      {
        backend: foundation.transit.path,
        name: keyName(tenant),
        type: "aes256-gcm96",
        exportable: false,
        allowPlaintextBackup: false,
        deletionAllowed: args.guard.onDestroy === "delete",
      },
      // The rotator raises these once every data key is wrapped anew.
      { parent: this, ...guarded(args.guard), ignoreChanges: ["minDecryptionVersion", "minEncryptionVersion"] },
    );
    const authority = this.makeAuthority(name, args);
    this.issuer = authority.mount;
    this.caBundle = authority.bundle;
    this.egress = args.parts.includes("outbound")
      ? new EgressAuthority(
          `${name}-egress`,
          { environment, tenant, days: args.intermediateDays, first: args.firstAuthority, guard: args.guard },
          { parent: this },
        )
      : undefined;
    this.certificateRoles = new Map(
      args.parts.map((part) => [part, this.makeCertificateRole(name, part, authority.mount, args)]),
    );
    this.roles = new Map(args.parts.map((part) => [part, this.makeRole(name, part, args)]));
    this.registerOutputs({
      key: this.key.name,
      issuer: this.issuer,
      caBundle: this.caBundle,
      roles: [...this.roles.values()].map((role) => role.roleName),
    });
  }

  /** An intermediate of the environment's root, whose names are bound to the tenant's namespace. */
  private makeAuthority(
    name: string,
    args: TenantVaultArgs,
  ): { readonly mount: pulumi.Output<string>; readonly bundle: pulumi.Output<string> } {
    const { environment, tenant, foundation, namespace } = args;
    const parent = { parent: this };
    const seconds = args.intermediateDays * 86_400;
    const mount = new Mount(
      `${name}-pki`,
      {
        path: intermediateMount(environment, tenant),
        type: "pki",
        description: `TokenShield, certificates of ${tenant} in ${environment}`,
        defaultLeaseTtlSeconds: args.leafMinutes * 60,
        maxLeaseTtlSeconds: seconds,
      },
      parent,
    );
    const commonName = `TokenShield ${environment} ${tenant}`;
    const request = new pki.SecretBackendIntermediateCertRequest(
      `${name}-ca`,
      { backend: mount.path, type: "internal", commonName, keyType: "ec", keyBits: 256, excludeCnFromSans: true },
      parent,
    );
    const signed = new pki.SecretBackendRootSignIntermediate(
      `${name}-ca`,
      {
        backend: foundation.rootMount.path,
        csr: request.csr,
        commonName,
        ttl: `${args.intermediateDays * 24}h`,
        maxPathLength: 0,
        excludeCnFromSans: true,
        permittedDnsDomains: [`${namespace}.svc`, `${namespace}.svc.cluster.local`],
      },
      { ...parent, dependsOn: [foundation.rootMount] },
    );
    const set = new pki.SecretBackendIntermediateSetSigned(
      `${name}-ca`,
      { backend: mount.path, certificate: pulumi.interpolate`${signed.certificate}\n${foundation.rootCertificate}` },
      parent,
    );
    return {
      mount: pulumi.all([mount.path, set.id]).apply(([path]) => path),
      bundle: pulumi.interpolate`${signed.certificate}\n${foundation.rootCertificate}\n`,
    };
  }

  /** What a part may have in its certificates: its own names, as server and as client. */
  private makeCertificateRole(
    name: string,
    part: Part,
    backend: pulumi.Input<string>,
    args: TenantVaultArgs,
  ): pki.SecretBackendRole {
    const service = accountName(part);
    return new pki.SecretBackendRole(
      `${name}-${part}`,
      {
        backend,
        name: part,
        allowedDomains: certificateNames(part, args.namespace),
        allowBareDomains: true,
        // A database member is reached by a name of its own below the headless Service.
        allowSubdomains: part === "database",
        allowGlobDomains: false,
        allowAnyName: false,
        allowIpSans: false,
        allowLocalhost: false,
        allowWildcardCertificates: false,
        enforceHostnames: true,
        serverFlag: true,
        clientFlag: true,
        codeSigningFlag: false,
        emailProtectionFlag: false,
        keyType: "ec",
        keyBits: 256,
        keyUsages: ["DigitalSignature"],
        organizations: [service],
        ttl: `${args.leafMinutes * 60}`,
        maxTtl: `${args.leafMinutes * 60}`,
        // Nothing this short-lived is revoked, so it needn't be kept.
        noStore: true,
        generateLease: false,
      },
      { parent: this },
    );
  }

  private makeRole(name: string, part: Part, args: TenantVaultArgs): AuthBackendRole {
    const { environment, tenant } = args;
    const policy = new Policy(
      `${name}-${part}`,
      { name: roleName(environment, tenant, part), policy: policyText(policyRules(part, args)) },
      { parent: this },
    );
    return new AuthBackendRole(
      `${name}-${part}`,
      {
        backend: args.foundation.authMount,
        roleName: roleName(environment, tenant, part),
        boundServiceAccountNames: [accountName(part)],
        boundServiceAccountNamespaces: [args.namespace],
        audience: vaultAudience,
        tokenPolicies: [policy.name],
        tokenNoDefaultPolicy: true,
        tokenTtl: 1200,
        tokenMaxTtl: 86_400,
      },
      { parent: this },
    );
  }
}

/** The names by which a part is reached inside the cluster; the first is its identity. */
export function serviceNames(part: Part, namespace: string): [string, ...string[]] {
  if (part !== "database") return namesOf(accountName(part), namespace);
  const { primary, replicas, members } = databaseServices;
  return [...namesOf(primary, namespace), ...namesOf(replicas, namespace), ...namesOf(members, namespace)];
}

/** The names in a part's certificates: those of its Services, the one for who asks each pod included. */
export function certificateNames(part: Part, namespace: string): [string, ...string[]] {
  const served = serviceNames(part, namespace);
  if (part === "tokenizer") return [...served, ...namesOf(tokenizerPods, namespace)];
  return part === "outbound" ? [...served, ...namesOf(outboundPods, namespace)] : served;
}

function namesOf(service: string, namespace: string): [string, string] {
  const name = `${service}.${namespace}.svc`;
  return [name, `${name}.cluster.local`];
}
